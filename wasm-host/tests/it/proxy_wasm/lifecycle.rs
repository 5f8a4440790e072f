//! The start, contexts, the end of a stream, and what must not be done when.

use wasm_host::Error;
use wasm_host::abi::proxy_wasm::{Action, Direction, Version};
use wasm_host::log::Level;

use super::guest::{OUT, filter, load, logs, on_headers, opened, pairs, request_headers, text};

/// A callback that logs its own name and answers `result`, if it has one.
fn callback(name: &str, parameters: &str, result: &str) -> String {
    let results = if result.is_empty() { "" } else { "(result i32)" };
    format!(
        r#"(func (export "{name}") {parameters} {results}
            (drop (call $proxy_log (i32.const 2) '{name}')) {result})"#
    )
}

const TWO: &str = "(param i32 i32)";
const THREE: &str = "(param i32 i32 i32)";
const TRUE: &str = "(i32.const 1)";

fn everything() -> String {
    [
        callback("_initialize", "", ""),
        callback("proxy_on_context_create", TWO, ""),
        callback("proxy_on_vm_start", TWO, TRUE),
        callback("proxy_on_configure", TWO, TRUE),
        callback("proxy_on_request_headers", THREE, "(i32.const 0)"),
        callback("proxy_on_request_body", THREE, "(i32.const 0)"),
        callback("proxy_on_request_trailers", TWO, "(i32.const 0)"),
        callback("proxy_on_response_headers", THREE, "(i32.const 0)"),
        callback("proxy_on_response_body", THREE, "(i32.const 0)"),
        callback("proxy_on_response_trailers", TWO, "(i32.const 0)"),
        callback("proxy_on_done", "(param i32)", TRUE),
        callback("proxy_on_log", "(param i32)", ""),
        callback("proxy_on_delete", "(param i32)", ""),
    ]
    .concat()
}

#[tokio::test]
async fn callbacks_come_in_the_order_of_envoys_host() {
    let plugin = load(&filter(&everything())).await.unwrap();
    let start = ["_initialize", "proxy_on_context_create", "proxy_on_vm_start", "proxy_on_configure"];
    assert_eq!(plugin.logged(), start);
    for _ in 0..2 {
        let mut session = plugin.proxy.open().await.unwrap();
        for direction in [Direction::Request, Direction::Response] {
            assert_eq!(session.headers(direction, request_headers(), false).await.unwrap(), Action::Continue);
            assert_eq!(session.body(direction, b"body", false).await.unwrap(), Action::Continue);
            assert_eq!(session.trailers(direction, pairs(&[("a", "b")])).await.unwrap(), Action::Continue);
        }
        session.close().await.unwrap();
        assert_eq!(
            plugin.logged(),
            [
                "proxy_on_context_create",
                "proxy_on_request_headers",
                "proxy_on_request_body",
                "proxy_on_request_trailers",
                "proxy_on_response_headers",
                "proxy_on_response_body",
                "proxy_on_response_trailers",
                "proxy_on_done",
                "proxy_on_log",
                "proxy_on_delete",
            ]
        );
    }
    assert_eq!(plugin.engine.live_guests(), Some(1), "one guest served both streams");
}

#[tokio::test]
async fn a_guest_without_any_callback_lets_everything_pass() {
    let plugin = load(&filter("")).await.unwrap();
    let mut session = opened(&plugin).await;
    session.body(Direction::Response, b"body", true).await.unwrap();
    assert_eq!(session.take_body(Direction::Response).unwrap(), b"body");
    session.close().await.unwrap();
}

#[tokio::test]
async fn markers_say_the_version_and_one_is_needed() {
    for (marker, version) in [("0_1_0", Version::V0_1_0), ("0_2_0", Version::V0_2_0), ("0_2_1", Version::V0_2_1)] {
        let code = format!(
            r#"(func (export "proxy_abi_version_{marker}"))
            (func (export "malloc") (param i32) (result i32) (call $allocate (local.get 0)))"#
        );
        assert_eq!(load(&text(&code)).await.unwrap().proxy.version(), version);
    }
    let malloc = r#"(func (export "malloc") (param i32) (result i32) (i32.const 0))"#;
    let error = load(&text(malloc)).await.err().unwrap().to_string();
    assert!(error.contains("proxy_abi_version_0_2_1"), "{error}");
    let error = load(&text(r#"(func (export "proxy_abi_version_0_2_0"))"#)).await.err().unwrap().to_string();
    assert!(error.contains("malloc"), "{error}");
}

#[tokio::test]
async fn header_callbacks_of_0_1_0_have_no_end() {
    let code = format!(
        r#"(func (export "proxy_abi_version_0_1_0"))
        (func (export "malloc") (param i32) (result i32) (call $allocate (local.get 0)))
        {}"#,
        callback("proxy_on_request_headers", TWO, "(i32.const 0)")
    );
    let plugin = load(&text(&code)).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    assert_eq!(plugin.logged(), ["proxy_on_request_headers"]);
}

#[tokio::test]
async fn a_guest_that_refuses_to_start_or_its_configuration_is_refused() {
    for name in ["proxy_on_vm_start", "proxy_on_configure"] {
        let error = load(&filter(&callback(name, TWO, "(i32.const 0)"))).await.err().unwrap();
        assert!(matches!(&error, Error::Contract { reason, .. } if reason.contains(name)), "{error}");
    }
    let error = load(&filter(r#"(func (export "_start") unreachable)"#)).await.err().unwrap();
    assert!(matches!(error, Error::Trap { .. }), "{error}");
}

#[tokio::test]
async fn configurations_are_there_while_they_are_told() {
    let show = |buffer: u32| {
        format!("(call $show (call $proxy_get_buffer_bytes (i32.const {buffer}) (i32.const 0) (i32.const 100) {OUT}))")
    };
    let code = format!(
        r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32) {} {} (i32.const 1))
        (func (export "proxy_on_configure") (param i32 i32) (result i32) {} {} (i32.const 1))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {} (i32.const 0))"#,
        show(6),
        show(7),
        show(6),
        show(7),
        show(6)
    );
    let plugin = load(&filter(&code)).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    assert_eq!(plugin.logged(), ["of the vm", "01", "01", "of the plugin", "01"]);
}

#[tokio::test]
async fn only_the_log_may_be_used_while_the_guest_starts_or_allocates() {
    let early = r#"(func (export "_start") (drop (call $proxy_set_tick_period_milliseconds (i32.const 1))))"#;
    let error = load(&filter(early)).await.err().unwrap().to_string();
    assert!(error.contains("proxy_set_tick_period_milliseconds"), "{error}");
    let log = r#"(func (export "_start") (drop (call $proxy_log (i32.const 2) 'early')))"#;
    assert_eq!(load(&filter(log)).await.unwrap().logged(), ["early"]);

    let code = format!(
        r#"(func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32)
            (drop (call $proxy_done)) (call $allocate (local.get 0)))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $show (call $proxy_get_property 'plugin_name' {OUT})) (i32.const 0))"#
    );
    let plugin = load(&text(&code)).await.unwrap();
    let mut session = plugin.proxy.open().await.unwrap();
    let error = session.headers(Direction::Request, request_headers(), true).await.unwrap_err().to_string();
    assert!(error.contains("proxy_done"), "{error}");
    drop(session);
    assert_eq!(plugin.engine.live_guests(), Some(0), "the guest that trapped is gone");
    assert!(plugin.proxy.open().await.is_ok(), "the next stream has a fresh one");
}

#[tokio::test]
async fn the_abis_own_allocator_comes_before_malloc() {
    let code = format!(
        r#"(func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) unreachable)
        (func (export "proxy_on_memory_allocate") (param i32) (result i32) (call $allocate (local.get 0)))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (call $show (call $proxy_get_property 'plugin_name' {OUT})) (i32.const 0))"#
    );
    let plugin = load(&text(&code)).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    assert_eq!(plugin.logged(), ["plugin"]);
}

#[tokio::test]
async fn an_allocator_that_gives_no_memory_or_other_memory_is_a_status() {
    for place in ["0", "-1"] {
        let code = format!(
            r#"(func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) (i32.const {place}))
            (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
                (call $show (call $proxy_get_property 'plugin_name' {OUT})) (i32.const 0))"#
        );
        let plugin = load(&text(&code)).await.unwrap();
        opened(&plugin).await.close().await.unwrap();
        assert_eq!(plugin.logged(), ["06"]);
    }
}

#[tokio::test]
async fn contexts_can_be_chosen() {
    let code = "(call $status (call $proxy_set_effective_context (i32.const 1)))
        (call $status (call $proxy_set_effective_context (local.get $context)))
        (call $status (call $proxy_set_effective_context (i32.const 99)))
        (call $status (call $proxy_set_effective_context (i32.const 1)))
        (call $status (call $proxy_add_header_map_value (i32.const 0) 'a' 'b'))";
    assert_eq!(logs(code).await, ["00", "00", "02", "00", "01"], "the root context has no stream");
}

#[tokio::test]
async fn done_may_come_later() {
    assert_eq!(logs("(call $status (call $proxy_done))").await, ["01"], "nothing is pending");
    // The stream's end starts a call, whose answer finishes it.
    let code = format!(
        r#"(func (export "proxy_on_done") (param i32) (result i32)
            (drop (call $proxy_http_call 'up' '{}' '' '' (i32.const 1000) (i32.const 24))) (i32.const 0))
        (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
            (drop (call $proxy_set_effective_context (global.get $stream)))
            (call $status (call $proxy_done)))
        (global $stream (mut i32) (i32.const 0))
        (func (export "proxy_on_context_create") (param i32 i32) (global.set $stream (local.get 0)))
        {}"#,
        super::calls::HEADERS,
        callback("proxy_on_log", "(param i32)", "")
    );
    let plugin = load(&filter(&code)).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    assert_eq!(plugin.logged(), ["00", "proxy_on_log"]);
}

#[tokio::test]
async fn logs_have_levels_and_the_time_goes_on() {
    let code = "(call $status (call $proxy_log (i32.const 6) 'x'))
        (call $status (call $proxy_log (i32.const 2) (i32.const -2) (i32.const 5)))
        (call $number (call $proxy_get_log_level (i32.const 24)))
        (call $status (call $proxy_get_current_time_nanoseconds (i32.const 24)))
        (call $status (i64.gt_u (i64.load (i32.const 24)) (i64.const 1700000000000000000)))
        (call $status (call $proxy_get_current_time_nanoseconds (i32.const 131070)))";
    assert_eq!(logs(code).await, ["02", "06", "01", "00", "01", "06"]);
    let code = on_headers(
        "(drop (call $proxy_log (i32.const 1) 'debug')) (drop (call $proxy_log (i32.const 3) 'warn'))
         (drop (call $proxy_log (i32.const 4) 'error')) (drop (call $proxy_log (i32.const 5) 'critical'))
         (drop (call $proxy_log (i32.const 0) 'trace'))",
    );
    let plugin = load(&code).await.unwrap();
    opened(&plugin).await.close().await.unwrap();
    let lines: Vec<_> = plugin.lines.take();
    let expected =
        [(Level::Debug, "debug"), (Level::Warn, "warn"), (Level::Error, "error"), (Level::Error, "critical")];
    assert_eq!(lines, expected.map(|(level, line)| (level, line.to_owned())));
}

#[tokio::test]
async fn a_guest_says_its_id_to_layotto() {
    let code = r#"(func (export "proxy_get_id")
        (drop (call $proxy_set_buffer_bytes (i32.const 8) (i32.const 0) (i32.const 4) 'id_1')))"#;
    assert_eq!(load(&filter(code)).await.unwrap().proxy.id().await.unwrap().as_deref(), Some("id_1"));
    assert_eq!(load(&filter("")).await.unwrap().proxy.id().await.unwrap(), None);
}
