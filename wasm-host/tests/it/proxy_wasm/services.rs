//! What guests share, ticks, and Layotto's functions.

use std::time::Duration;

use wasm_host::abi::proxy_wasm::MetricKind;
use wasm_host::log::Level;

use super::guest::{OUT, filter, load, logs, on_headers, opened};

#[tokio::test]
async fn shared_data_is_compared_by_its_number() {
    let code = format!(
        "(call $show (call $proxy_get_shared_data 'key' {OUT} (i32.const 24)))
         (call $status (call $proxy_set_shared_data 'key' 'one' (i32.const 0)))
         (call $show (call $proxy_get_shared_data 'key' {OUT} (i32.const 24)))
         (call $status (i32.load (i32.const 24)))
         (call $status (call $proxy_set_shared_data 'key' 'two' (i32.const 1)))
         (call $status (call $proxy_set_shared_data 'key' 'three' (i32.const 1)))
         (call $show (call $proxy_get_shared_data 'key' {OUT} (i32.const 24)))
         (call $status (call $proxy_set_shared_data 'key' (i32.const -1) (i32.const 2) (i32.const 0)))
         (call $status (call $proxy_get_shared_data 'key' {OUT} (i32.const -1)))"
    );
    assert_eq!(logs(&code).await, ["01", "00", "one", "01", "00", "08", "two", "06", "06"]);
}

#[tokio::test]
async fn queues_are_found_by_vm_and_name_and_keep_their_order() {
    let code = format!(
        "(call $status (call $proxy_resolve_shared_queue 'vm' 'queue' (i32.const 24)))
         (call $number (call $proxy_register_shared_queue 'queue' (i32.const 24)))
         (call $number (call $proxy_register_shared_queue 'queue' (i32.const 24)))
         (call $number (call $proxy_resolve_shared_queue 'vm' 'queue' (i32.const 24)))
         (call $status (call $proxy_resolve_shared_queue 'other' 'queue' (i32.const 24)))
         (call $show (call $proxy_dequeue_shared_queue (i32.const 1) {OUT}))
         (call $status (call $proxy_enqueue_shared_queue (i32.const 1) 'first'))
         (call $status (call $proxy_enqueue_shared_queue (i32.const 1) 'second'))
         (call $show (call $proxy_dequeue_shared_queue (i32.const 1) {OUT}))
         (call $show (call $proxy_dequeue_shared_queue (i32.const 1) {OUT}))
         (call $status (call $proxy_enqueue_shared_queue (i32.const 9) 'lost'))
         (call $show (call $proxy_dequeue_shared_queue (i32.const 0) {OUT}))
         (call $status (call $proxy_register_shared_queue 'queue' (i32.const -1)))"
    );
    let expected = ["01", "01", "01", "01", "01", "07", "00", "00", "first", "second", "01", "01", "06"];
    assert_eq!(logs(&code).await, expected);
}

#[tokio::test]
async fn metrics_are_defined_recorded_and_read() {
    let code = "(call $number (call $proxy_define_metric (i32.const 0) 'counter' (i32.const 24)))
        (call $number (call $proxy_define_metric (i32.const 1) 'gauge' (i32.const 24)))
        (call $number (call $proxy_define_metric (i32.const 2) 'histogram' (i32.const 24)))
        (call $number (call $proxy_define_metric (i32.const 0) 'counter' (i32.const 24)))
        (call $status (call $proxy_define_metric (i32.const 3) 'other' (i32.const 24)))
        (call $status (call $proxy_define_metric (i32.const 1) 'counter' (i32.const 24)))
        (call $status (call $proxy_increment_metric (i32.const 1) (i64.const 5)))
        (call $status (call $proxy_increment_metric (i32.const 1) (i64.const -5)))
        (call $status (call $proxy_increment_metric (i32.const 9) (i64.const 1)))
        (call $status (call $proxy_increment_metric (i32.const 2) (i64.const -5)))
        (call $status (call $proxy_record_metric (i32.const 2) (i64.const 7)))
        (call $status (call $proxy_record_metric (i32.const 3) (i64.const 9)))
        (call $status (call $proxy_record_metric (i32.const 9) (i64.const 9)))
        (call $number (call $proxy_get_metric (i32.const 1) (i32.const 24)))
        (call $number (call $proxy_get_metric (i32.const 2) (i32.const 24)))
        (call $number (call $proxy_get_metric (i32.const 9) (i32.const 24)))
        (call $number (call $proxy_get_metric (i32.const 3) (i32.const 24)))
        (call $number (call $proxy_get_metric (i32.const 1) (i32.const -1)))";
    let plugin = load(&on_headers(code)).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    let expected =
        ["01", "02", "03", "01", "02", "02", "00", "02", "01", "00", "00", "00", "01", "05", "07", "01", "02", "06"];
    assert_eq!(plugin.logged(), expected);
    let metrics = plugin.services.metrics();
    let histogram = &metrics[&("vm".to_owned(), "histogram".to_owned())];
    assert_eq!((histogram.kind, histogram.value, histogram.count), (MetricKind::Histogram, 9, 1));
}

#[tokio::test]
async fn state_and_services_of_layotto() {
    let state = |store: &str, key: &str| format!("(call $show (call $proxy_get_state '{store}' '{key}' {OUT}))");
    let code = [state("books", "book1"), state("books", "none"), state("other", "book1")].concat();
    assert_eq!(logs(&code).await, ["100", "", "10"]);
    let invoke = |id: &str| format!("(call $show (call $proxy_invoke_service '{id}' 'method' 'parameter' {OUT}))");
    assert_eq!(logs(&[invoke("up"), invoke("none")].concat()).await, ["method:parameter", "10"]);
    for call in [
        "$proxy_get_state (i32.const -1) (i32.const 9) 'key' (i32.const 16) (i32.const 20)",
        "$proxy_invoke_service 'up' 'method' (i32.const -1) (i32.const 9) (i32.const 16) (i32.const 20)",
        "$proxy_get_state 'books' 'book1' (i32.const -1) (i32.const 20)",
    ] {
        assert_eq!(logs(&format!("(call $status (call {call}))")).await, ["06"], "{call}");
    }
    let plugin = load(&on_headers(&invoke("none"))).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    assert_eq!(plugin.logged_at(Level::Warn), ["test: no service none"], "the log says why");
}

/// A pair `a`, `b`.
const METADATA: &str = r"\01\00\00\00\01\00\00\00\01\00\00\00a\00b\00";

#[tokio::test]
async fn building_blocks_are_changed_and_asked_by_ottavos_functions() {
    let code = format!(
        "(call $status (call $proxy_set_state 'books' 'book2' '7'))
         (call $status (call $proxy_delete_state 'books' 'book2'))
         (call $status (call $proxy_publish_event 'broker' 'orders' 'data' 'text/plain' '{METADATA}'))
         (call $status (call $proxy_publish_event 'broker' 'orders' 'data' '' ''))
         (call $show (call $proxy_get_secret 'vault' 'key' {OUT}))
         (call $show (call $proxy_invoke_binding 'mail' 'create' 'hello' '{METADATA}' {OUT}))"
    );
    let plugin = load(&on_headers(&code)).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    let lines = plugin.lines.take();
    let at = |level| lines.iter().filter(|(of, _)| *of == level).map(|(_, line)| line.as_str()).collect::<Vec<_>>();
    // The list of pairs without its numbers: the log takes no control characters.
    assert_eq!(at(Level::Info), ["00", "00", "00", "00", "keyhush", "sent"]);
    let calls = [
        "set book2=7",
        "delete book2",
        r#"publish orders data Some("text/plain") {"a": "b"}"#,
        "publish orders data None {}",
        "secret",
        r#"bind create hello {"a": "b"}"#,
    ];
    assert_eq!(at(Level::Debug), calls);
}

#[tokio::test]
async fn building_blocks_that_are_not_there_and_wrong_pointers_are_a_status() {
    for (call, status) in [
        ("$proxy_set_state 'other' 'key' 'value'".to_owned(), "10"),
        ("$proxy_set_state 'books' 'key' (i32.const -1) (i32.const 9)".into(), "06"),
        ("$proxy_set_state 'books' '\\ff' 'value'".into(), "02"),
        ("$proxy_delete_state 'other' 'key'".into(), "10"),
        ("$proxy_delete_state (i32.const -1) (i32.const 9) 'key'".into(), "06"),
        ("$proxy_publish_event 'other' 'topic' '' '' ''".into(), "10"),
        ("$proxy_publish_event 'broker' 'topic' '' '' '\\09'".into(), "02"),
        (format!("$proxy_get_secret 'other' 'key' {OUT}"), "10"),
        ("$proxy_get_secret 'vault' 'key' (i32.const -1) (i32.const 20)".into(), "06"),
        (format!("$proxy_invoke_binding 'other' 'create' '' '' {OUT}"), "10"),
        (format!("$proxy_invoke_binding 'mail' 'create' (i32.const -1) (i32.const 9) '' {OUT}"), "06"),
    ] {
        assert_eq!(logs(&format!("(call $status (call {call}))")).await, [status], "{call}");
    }
}

#[tokio::test]
async fn foreign_functions_are_the_hosts() {
    let call = |name: &str| format!("(call $show (call $proxy_call_foreign_function '{name}' 'ab' {OUT}))");
    assert_eq!(logs(&[call("twice"), call("none"), call("broken")].concat()).await, ["abab", "01", "10"]);
    let code = format!(
        r#"(func (export "proxy_on_foreign_function") (param $context i32) (param $function i32) (param $size i32)
            (call $status (local.get $function))
            (call $show (call $proxy_get_buffer_bytes (i32.const 8) (i32.const 0) (local.get $size) {OUT}))
            (drop (call $proxy_set_buffer_bytes (i32.const 8) (i32.const 0) (local.get $size) 'result')))"#
    );
    let plugin = load(&filter(&code)).await.unwrap();
    let mut session = opened(&plugin).await;
    assert_eq!(session.foreign(7, b"arguments".to_vec()).await.unwrap(), b"result");
    assert_eq!(plugin.logged(), ["07", "arguments"]);
    session.close().await.unwrap();
}

/// Runs the root guest until this many lines were logged.
async fn root(code: &str, lines: usize, before: impl AsyncFnOnce(&super::guest::Plugin)) -> Vec<String> {
    let plugin = load(&filter(code)).await.unwrap();
    before(&plugin).await;
    let mut seen = plugin.logged();
    let collect = async {
        while seen.len() < lines {
            tokio::time::sleep(Duration::from_millis(1)).await;
            seen.extend(plugin.logged());
        }
    };
    // It may end when the guest waits for nothing more; what it has logged counts all the same.
    let work = async {
        plugin.proxy.run_root().await.expect("a guest that lives");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = work => {}
        outcome = tokio::time::timeout(Duration::from_secs(20), collect) => outcome.expect("it logged in time"),
    }
    seen
}

#[tokio::test]
async fn ticks_come_while_the_guest_wants_them() {
    // The third tick stops the clock and says so.
    let code = r#"(global $ticks (mut i32) (i32.const 0))
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $proxy_set_tick_period_milliseconds (i32.const 2))) (i32.const 1))
        (func (export "proxy_on_tick") (param $root i32)
            (global.set $ticks (i32.add (global.get $ticks) (i32.const 1)))
            (call $status (global.get $ticks))
            (if (i32.eq (global.get $ticks) (i32.const 3))
                (then (call $status (call $proxy_set_tick_period_milliseconds (i32.const 0))))))"#;
    assert_eq!(root(code, 4, async |_| {}).await, ["01", "02", "03", "00"]);
}

#[tokio::test]
async fn a_guest_hears_of_each_message_of_its_queues() {
    let code = format!(
        r#"(func (export "proxy_on_configure") (param i32 i32) (result i32)
            (drop (call $proxy_register_shared_queue 'queue' (i32.const 24))) (i32.const 1))
        (func (export "proxy_on_queue_ready") (param $root i32) (param $queue i32)
            (call $show (call $proxy_dequeue_shared_queue (local.get $queue) {OUT})))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (drop (call $proxy_enqueue_shared_queue (i32.const 1) 'one'))
            (drop (call $proxy_enqueue_shared_queue (i32.const 1) 'two')) (i32.const 0))"#
    );
    let seen = root(&code, 2, async |plugin| opened(plugin).await.close().await.unwrap()).await;
    assert_eq!(seen, ["one", "two"]);
}
