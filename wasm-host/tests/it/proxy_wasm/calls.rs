//! HTTP and gRPC calls of guests.

use std::time::Duration;

use wasm_host::Error;
use wasm_host::abi::proxy_wasm::{Action, Direction};
use wasm_host::log::Level;

use super::guest::{OUT, Plugin, filter, load, logs, request_headers};

/// `:method` GET, `:path` /, `:authority` up.
pub const HEADERS: &str = r"\03\00\00\00\07\00\00\00\03\00\00\00\05\00\00\00\01\00\00\00\0a\00\00\00\02\00\00\00:method\00GET\00:path\00/\00:authority\00up\00";

fn http_call(upstream: &str, timeout: u32) -> String {
    format!("(call $proxy_http_call '{upstream}' '{HEADERS}' 'ping' '' (i32.const {timeout}) (i32.const 24))")
}

/// A guest that begins something when request headers come, pauses, and goes on when it is told to.
fn pausing(begin: &str, callbacks: &str) -> String {
    filter(&format!(
        r#"(global $stream (mut i32) (i32.const 0))
        (func $resume
            (drop (call $proxy_set_effective_context (global.get $stream)))
            (drop (call $proxy_continue_stream (i32.const 0))))
        (func (export "proxy_on_request_headers") (param $context i32) (param i32 i32) (result i32)
            (global.set $stream (local.get $context))
            {begin} (i32.const 1))
        {callbacks}"#
    ))
}

/// Runs such a guest to the end of its pause.
async fn run(text: &str) -> (Plugin, Result<(), Error>) {
    let plugin = load(text).await.unwrap_or_else(|error| panic!("{error}\n{text}"));
    let mut session = plugin.proxy.open().await.unwrap();
    let action = session.headers(Direction::Request, request_headers(), true).await.unwrap();
    // On a busy machine the answers are there before the callback is over.
    let resumed = match action {
        Action::Continue => Ok(()),
        Action::Pause => tokio::time::timeout(Duration::from_secs(20), session.resumed(Direction::Request))
            .await
            .expect("an end of the pause"),
    };
    if resumed.is_ok() {
        session.close().await.unwrap();
    }
    (plugin, resumed)
}

const REPLY: &str = r#"(func (export "proxy_on_http_call_response")
        (param $root i32) (param $call i32) (param $headers i32) (param $body i32) (param $trailers i32)
    (call $status (local.get $call)) (call $status (local.get $headers)) (call $status (local.get $trailers))
    (call $show (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 100) (i32.const 16) (i32.const 20)))
    (call $show (call $proxy_get_header_map_value (i32.const 6) 'answered' (i32.const 16) (i32.const 20)))
    (call $show (call $proxy_get_header_map_value (i32.const 7) 'trailer' (i32.const 16) (i32.const 20)))
    (drop (call $proxy_get_status (i32.const 24) (i32.const 16) (i32.const 20)))
    (call $status (i32.sub (i32.load (i32.const 24)) (i32.const 200)))
    (call $resume))"#;

#[tokio::test]
async fn an_answer_comes_back_to_the_paused_stream() {
    let (plugin, resumed) = run(&pausing(&format!("(call $number {})", http_call("up", 1000)), REPLY)).await;
    assert_eq!(resumed, Ok(()));
    assert_eq!(plugin.logged(), ["01", "01", "02", "01", "pong ping", "yes", "last", "03"]);
}

#[tokio::test]
async fn a_failure_or_a_timeout_is_an_answer_of_nothing() {
    let callback = r#"(func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (call $status (local.get 2)) (call $status (local.get 3)) (call $resume))"#;
    for (upstream, reason) in [("down", "it is down"), ("slow", "no answer within 20ms")] {
        let (plugin, resumed) = run(&pausing(&format!("(drop {})", http_call(upstream, 20)), callback)).await;
        assert_eq!(resumed, Ok(()));
        let lines = plugin.lines.take();
        let at = |level: Level| {
            lines.iter().filter(|(of, _)| *of == level).map(|(_, line)| line.clone()).collect::<Vec<_>>()
        };
        assert_eq!(at(Level::Info), ["00", "00"]);
        assert_eq!(at(Level::Warn), [format!("test: calling '{upstream}': {reason}")]);
    }
}

#[tokio::test]
async fn calls_that_cannot_be_made_are_a_status() {
    assert_eq!(logs(&format!("(call $status {})", http_call("unknown", 10))).await, ["02"]);
    let no_path = r"\01\00\00\00\07\00\00\00\03\00\00\00:method\00GET\00";
    for (call, status) in [
        (format!("$proxy_http_call 'up' '{no_path}' '' '' (i32.const 10) (i32.const 24)"), "02"),
        ("$proxy_http_call 'up' '\\09' '' '' (i32.const 10) (i32.const 24)".into(), "02"),
        (format!("$proxy_http_call 'up' '{HEADERS}' '' '' (i32.const 10) (i32.const -1)"), "06"),
        (
            format!("$proxy_http_call 'up' '{HEADERS}' (i32.const -1) (i32.const 9) '' (i32.const 10) (i32.const 24)"),
            "06",
        ),
        ("$proxy_grpc_call 'unknown' 'service' 'method' '' 'message' (i32.const 10) (i32.const 24)".into(), "04"),
        ("$proxy_grpc_call 'up' 'service' 'method' '\\09' 'message' (i32.const 10) (i32.const 24)".into(), "02"),
        ("$proxy_grpc_call 'up' 'service' 'method' '' 'message' (i32.const 10) (i32.const -1)".into(), "06"),
        ("$proxy_grpc_stream 'unknown' 'service' 'method' '' (i32.const 24)".into(), "04"),
        ("$proxy_grpc_stream 'up' 'service' 'method' '' (i32.const -1)".into(), "06"),
        ("$proxy_grpc_send (i32.const 9) 'message' (i32.const 0)".into(), "01"),
        ("$proxy_grpc_cancel (i32.const 9)".into(), "01"),
        ("$proxy_grpc_close (i32.const 9)".into(), "01"),
    ] {
        assert_eq!(logs(&format!("(call $status (call {call}))")).await, [status], "{call}");
    }
}

#[tokio::test]
async fn a_guest_may_not_have_any_number_of_calls() {
    let many = format!(
        "(loop $more
            (if (i32.eqz {}) (then (br $more))))
         (call $status {})",
        http_call("slow", 60_000),
        http_call("slow", 60_000)
    );
    assert_eq!(logs(&many).await, ["10"]);
}

#[tokio::test]
async fn a_pause_that_nothing_can_end_is_an_error() {
    let (plugin, resumed) = run(&pausing("", "")).await;
    assert!(matches!(&resumed, Err(Error::Paused { .. })), "{resumed:?}");
    drop(plugin);
}

const GRPC: &str = r#"
    (func (export "proxy_on_grpc_receive_initial_metadata") (param $root i32) (param $call i32) (param $count i32)
        (call $status (local.get $count))
        (call $show (call $proxy_get_header_map_value (i32.const 4) 'begin' (i32.const 16) (i32.const 20))))
    (func (export "proxy_on_grpc_receive_trailing_metadata") (param $root i32) (param $call i32) (param $count i32)
        (call $status (local.get $count))
        (call $show (call $proxy_get_header_map_value (i32.const 5) 'end' (i32.const 16) (i32.const 20))))
    (func (export "proxy_on_grpc_close") (param $root i32) (param $call i32) (param $code i32)
        (call $status (local.get $code))
        (call $show (call $proxy_get_status (i32.const 24) (i32.const 16) (i32.const 20)))
        (call $status (i32.load (i32.const 24)))
        (call $resume))"#;

#[tokio::test]
async fn a_unary_call_brings_metadata_message_and_status() {
    let begin =
        "(call $number (call $proxy_grpc_call 'up' 'service' 'method' '' 'message' (i32.const 1000) (i32.const 24)))";
    let receive = format!(
        r#"(func (export "proxy_on_grpc_receive") (param $root i32) (param $call i32) (param $size i32)
            (call $status (local.get $size))
            (call $show (call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 100) {OUT}))
            (call $status (call $proxy_grpc_send (local.get $call) 'more' (i32.const 0))))"#
    );
    let (plugin, resumed) = run(&pausing(begin, &format!("{GRPC} {receive}"))).await;
    assert_eq!(resumed, Ok(()));
    let expected = ["01", "01", "yes", "07", "message", "02", "02", "yes", "05", "gone", "05"];
    assert_eq!(plugin.logged(), expected);
}

#[tokio::test]
async fn a_stream_takes_messages_until_it_is_closed() {
    let begin = "(call $number (call $proxy_grpc_stream 'up' 'service' 'method' '' (i32.const 24)))
        (call $status (call $proxy_grpc_send (i32.const 1) 'one' (i32.const 0)))";
    // After the echo of the first message comes a last one, after which nothing can be sent.
    let receive = format!(
        r#"(global $received (mut i32) (i32.const 0))
        (func (export "proxy_on_grpc_receive") (param $root i32) (param $call i32) (param $size i32)
            (call $show (call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 100) {OUT}))
            (if (i32.eqz (global.get $received)) (then
                (call $status (call $proxy_grpc_send (local.get $call) 'two' (i32.const 1)))
                (call $status (call $proxy_grpc_send (local.get $call) 'three' (i32.const 0)))
                (call $status (call $proxy_grpc_close (local.get $call)))))
            (global.set $received (i32.const 1)))"#
    );
    let (plugin, resumed) = run(&pausing(begin, &format!("{GRPC} {receive}"))).await;
    assert_eq!(resumed, Ok(()));
    let expected = ["01", "00", "01", "yes", "one", "00", "02", "00", "two", "02", "yes", "05", "gone", "05"];
    assert_eq!(plugin.logged(), expected);
}

#[tokio::test]
async fn a_cancelled_call_says_nothing_more() {
    let begin = "(call $number (call $proxy_grpc_stream 'up' 'service' 'method' '' (i32.const 24)))
        (call $status (call $proxy_grpc_cancel (i32.const 1)))
        (call $status (call $proxy_grpc_cancel (i32.const 1)))
        (drop (call $proxy_http_call 'up' '{}' 'ping' '' (i32.const 1000) (i32.const 24)))";
    let begin = begin.replace("{}", HEADERS);
    let callbacks = format!(
        r#"{GRPC} (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
            (call $status (call $proxy_grpc_cancel (local.get 1))) (call $resume))"#
    );
    let (plugin, resumed) = run(&pausing(&begin, &callbacks)).await;
    assert_eq!(resumed, Ok(()));
    assert_eq!(plugin.logged(), ["01", "00", "01", "01"], "an HTTP call is no gRPC call");
}
