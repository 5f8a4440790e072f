//! http-wasm guests: every host function, and when it may be called.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use wasm_host::abi::http_wasm::{HttpSettings, HttpWasm};
use wasm_host::body::Body;
use wasm_host::log::Level;
use wasm_host::{Engine, Error, Limits, PoolSettings, Result};

use crate::guest::{Lines, engine, module};

/// All functions of the ABI, and helpers: `$say` writes a text of the guest's memory as response body.
const IMPORTS: &str = r#"
    (import "http_handler" "enable_features" (func $enable_features (param i32) (result i32)))
    (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
    (import "http_handler" "log_enabled" (func $log_enabled (param i32) (result i32)))
    (import "http_handler" "log" (func $log (param i32 i32 i32)))
    (import "http_handler" "get_header_names" (func $get_header_names (param i32 i32 i32) (result i64)))
    (import "http_handler" "get_header_values" (func $get_header_values (param i32 i32 i32 i32 i32) (result i64)))
    (import "http_handler" "set_header_value" (func $set_header_value (param i32 i32 i32 i32 i32)))
    (import "http_handler" "add_header_value" (func $add_header_value (param i32 i32 i32 i32 i32)))
    (import "http_handler" "remove_header" (func $remove_header (param i32 i32 i32)))
    (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
    (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
    (import "http_handler" "get_method" (func $get_method (param i32 i32) (result i32)))
    (import "http_handler" "set_method" (func $set_method (param i32 i32)))
    (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
    (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
    (import "http_handler" "get_protocol_version" (func $get_protocol_version (param i32 i32) (result i32)))
    (import "http_handler" "get_source_addr" (func $get_source_addr (param i32 i32) (result i32)))
    (import "http_handler" "get_status_code" (func $get_status_code (result i32)))
    (import "http_handler" "set_status_code" (func $set_status_code (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "name") (data (i32.const 8) "value") (data (i32.const 16) "/other?a=b") (data (i32.const 32) "PUT")
    (global $next i64 (i64.const 1))
"#;

/// A module with these bodies of `handle_request` and `handle_response`, and more fields.
fn guest(request: &str, response: &str, more: &str) -> String {
    format!(
        r#"(module {IMPORTS} {more}
        (func (export "handle_request") (result i64) (local $n i64) {request})
        (func (export "handle_response") (param $context i32) (param $error i32) (local $n i64) {response}))"#
    )
}

struct Host {
    handler: HttpWasm,
    lines: Arc<Lines>,
    engine: Engine,
}

async fn load(text: &str) -> Result<Host> {
    let engine = engine();
    let lines = Lines::new();
    let settings = HttpSettings {
        config: Bytes::from_static(b"configured"),
        is_strict: false,
        limits: Limits::default(),
        pool: PoolSettings::default(),
        body_limit: 1 << 20,
        log: lines.clone(),
    };
    let handler = HttpWasm::new(&engine, module(&engine, text).await, settings).await?;
    Ok(Host { handler, lines, engine })
}

/// What the next handler saw.
#[derive(Debug, Default)]
struct Seen {
    method: String,
    uri: String,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
    seen: Option<Seen>,
}

impl Host {
    /// Sends a request; the next handler answers 201 with `next: yes` and the body `from next`.
    async fn send(&self, request: Request<Body>) -> Result<Answer> {
        let mut seen = None;
        let response = self
            .handler
            .handle(request, "127.0.0.1:1234".into(), |request| async {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.expect("a whole body");
                seen = Some(Seen {
                    method: parts.method.to_string(),
                    uri: parts.uri.to_string(),
                    headers: parts.headers,
                    trailers: body.trailers().cloned(),
                    body: body.to_bytes(),
                });
                Response::builder().status(201).header("next", "yes").body(Body::full("from next")).expect("a response")
            })
            .await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body");
        let trailers = body.trailers().cloned();
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers, seen })
    }
}

fn request() -> Request<Body> {
    let request = Request::post("/path?query=1").header("host", "here").header("two", "1").header("two", "2");
    request.body(Body::full("from caller")).expect("a request")
}

/// The answer of a guest that calls the next handler.
async fn answer(request_code: &str, response_code: &str) -> Answer {
    let text = guest(&format!("{request_code} (global.get $next)"), response_code, "");
    load(&text).await.expect("a guest").send(request()).await.expect("an answer")
}

/// The answer of a guest that answers itself.
async fn own(code: &str) -> Answer {
    let text = guest(&format!("{code} (i64.const 0)"), "", "");
    let answer = load(&text).await.expect("a guest").send(request()).await.expect("an answer");
    assert!(answer.seen.is_none(), "the next handler was called");
    answer
}

/// Why a guest trapped.
async fn trap(request_code: &str, response_code: &str) -> String {
    let text = guest(&format!("{request_code} (global.get $next)"), response_code, "");
    let host = load(&text).await.expect("a guest");
    let error = host.send(request()).await.expect_err("a trap");
    assert_eq!(host.engine.live_guests(), Some(0), "a guest that trapped is gone");
    let Error::Trap { reason, guest, .. } = error else { panic!("{error}") };
    assert_eq!(guest, "test");
    reason
}

/// Writes the result of a function that fills a buffer as the body.
fn said(function: &str) -> String {
    format!("(call $write_body (i32.const 1) (i32.const 100) ({function} (i32.const 100) (i32.const 200)))")
}

#[tokio::test]
async fn what_is_left_alone_passes_unchanged() {
    let answer = answer("", "").await;
    let seen = answer.seen.unwrap();
    assert_eq!(
        (seen.method.as_str(), seen.uri.as_str(), &seen.body[..]),
        ("POST", "/path?query=1", &b"from caller"[..])
    );
    assert_eq!(seen.headers.get_all("two").iter().count(), 2);
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::CREATED, &b"from next"[..]));
    assert_eq!(answer.headers["next"], "yes");
}

#[tokio::test]
async fn texts_of_the_request_are_given() {
    for (function, text) in [
        ("call $get_method", "POST"),
        ("call $get_uri", "/path?query=1"),
        ("call $get_protocol_version", "HTTP/1.1"),
        ("call $get_source_addr", "127.0.0.1:1234"),
        ("call $get_config", "configured"),
    ] {
        let answer = own(&said(function)).await;
        assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, text.as_bytes()), "{function}");
    }
}

#[tokio::test]
async fn a_buffer_that_is_too_small_stays_untouched_and_the_length_is_told() {
    let answer = own("(i32.store (i32.const 200) (call $get_uri (i32.const 100) (i32.const 12)))
         (call $write_body (i32.const 1) (i32.const 100) (i32.const 1))
         (call $write_body (i32.const 1) (i32.const 200) (i32.const 1))")
    .await;
    assert_eq!(&answer.body[..], [0, 13]);
}

#[tokio::test]
async fn method_and_uri_can_be_set_and_an_empty_uri_is_the_root() {
    let answer =
        answer("(call $set_method (i32.const 32) (i32.const 3)) (call $set_uri (i32.const 16) (i32.const 10))", "");
    let seen = answer.await.seen.unwrap();
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("PUT", "/other?a=b"));
    let seen = self::answer("(call $set_uri (i32.const 16) (i32.const 0))", "").await.seen.unwrap();
    assert_eq!(seen.uri, "/");
    assert_eq!(trap("(call $set_method (i32.const 32) (i32.const 0))", "").await, "HTTP method cannot be empty");
    assert!(trap("(call $set_uri (i32.const 0) (i32.const 4))", "").await.contains("'name' is no URI"));
}

#[tokio::test]
async fn header_names_are_listed_once_each_with_their_number() {
    let answer = own("(local.set $n (call $get_header_names (i32.const 0) (i32.const 100) (i32.const 200)))
         (call $write_body (i32.const 1) (i32.const 100) (i32.wrap_i64 (local.get $n)))
         (call $set_status_code (i32.add (i32.const 500) (i32.wrap_i64 (i64.shr_u (local.get $n) (i64.const 32)))))")
    .await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (502, &b"host\0two\0"[..]));
}

#[tokio::test]
async fn header_values_are_given_one_by_one() {
    let text = guest(
        "(local.set $n (call $get_header_values (i32.const 0) (i32.const 300) (i32.const 3) (i32.const 100) (i32.const 200)))
         (call $write_body (i32.const 1) (i32.const 100) (i32.wrap_i64 (local.get $n)))
         (call $set_status_code (i32.add (i32.const 500) (i32.wrap_i64 (i64.shr_u (local.get $n) (i64.const 32)))))
         (i64.const 0)",
        "",
        r#"(data (i32.const 300) "Two")"#,
    );
    let answer = load(&text).await.unwrap().send(request()).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (502, &b"1\x002\0"[..]));
    let empty =
        "(drop (call $get_header_values (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))";
    assert_eq!(trap(empty, "").await, "HTTP header name cannot be empty");
    let kind = "(drop (call $get_header_values (i32.const 4) (i32.const 0) (i32.const 4) (i32.const 0) (i32.const 0)))";
    assert_eq!(trap(kind, "").await, "unsupported header kind: 4");
}

const SET: &str = "(call $set_header_value (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 5))";
const ADD: &str = "(call $add_header_value (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 32) (i32.const 3))";

#[tokio::test]
async fn request_headers_can_be_set_added_and_removed() {
    let seen = answer(&format!("{SET} {ADD}"), "").await.seen.unwrap();
    assert_eq!(seen.headers.get_all("name").iter().collect::<Vec<_>>(), ["value", "PUT"]);
    let seen = answer(&format!("{ADD} {SET}"), "").await.seen.unwrap();
    assert_eq!(seen.headers.get_all("name").iter().collect::<Vec<_>>(), ["value"]);
    let remove = "(call $remove_header (i32.const 0) (i32.const 0) (i32.const 4))";
    assert!(!answer(&format!("{SET} {remove}"), "").await.seen.unwrap().headers.contains_key("name"));
}

/// Reads the whole request body in portions of 4 bytes and writes it as the response body.
const ECHO: &str = "(loop $more
    (local.set $n (call $read_body (i32.const 0) (i32.const 100) (i32.const 4)))
    (call $write_body (i32.const 1) (i32.const 100) (i32.wrap_i64 (local.get $n)))
    (br_if $more (i64.eqz (i64.shr_u (local.get $n) (i64.const 32)))))";

#[tokio::test]
async fn bodies_are_read_in_portions_to_their_end() {
    assert_eq!(own(ECHO).await.body, "from caller");
    let none = "(drop (call $read_body (i32.const 0) (i32.const 100) (i32.const 0)))";
    assert_eq!(trap(none, "").await, "buf_limit==0 reading body");
    let kind = "(drop (call $read_body (i32.const 2) (i32.const 100) (i32.const 1)))";
    assert_eq!(trap(kind, "").await, "unsupported body kind: 2");
}

#[tokio::test]
async fn what_a_guest_reads_is_lost_to_the_next_handler_unless_it_is_buffered() {
    let read = "(drop (call $read_body (i32.const 0) (i32.const 100) (i32.const 5)))";
    assert_eq!(answer(read, "").await.seen.unwrap().body, "caller");
    let buffered = format!("(drop (call $enable_features (i32.const 1))) {read}");
    assert_eq!(answer(&buffered, "").await.seen.unwrap().body, "from caller");
}

#[tokio::test]
async fn a_request_body_can_be_replaced_and_its_length_follows() {
    let text = guest(
        "(call $write_body (i32.const 0) (i32.const 8) (i32.const 5))
         (call $write_body (i32.const 0) (i32.const 32) (i32.const 3)) (global.get $next)",
        "",
        "",
    );
    let mut request = request();
    request.headers_mut().insert("content-length", 11.into());
    let seen = load(&text).await.unwrap().send(request).await.unwrap().seen.unwrap();
    assert_eq!((&seen.body[..], seen.headers["content-length"].to_str().unwrap()), (&b"valuePUT"[..], "8"));
}

#[tokio::test]
async fn what_was_set_before_the_next_handler_joins_its_answer() {
    let answer = answer(
        "(call $set_header_value (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 5))
         (call $write_body (i32.const 1) (i32.const 8) (i32.const 5))",
        "",
    )
    .await;
    assert_eq!((&answer.body[..], answer.status.as_u16()), (&b"valuefrom next"[..], 201));
    assert_eq!(
        (&answer.headers["name"], &answer.headers["next"]),
        (&"value".parse().unwrap(), &"yes".parse().unwrap())
    );
    assert_eq!(self::answer("(call $set_status_code (i32.const 418))", "").await.status.as_u16(), 418);
}

#[tokio::test]
async fn a_buffered_response_can_be_read_and_rewritten() {
    let answer = answer(
        "(drop (call $enable_features (i32.const 2)))",
        "(local.set $n (call $read_body (i32.const 1) (i32.const 100) (i32.const 4)))
         (call $set_header_value (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 100) (i32.wrap_i64 (local.get $n)))
         (call $set_status_code (i32.add (call $get_status_code) (i32.const 1)))
         (call $write_body (i32.const 1) (i32.const 8) (i32.const 5))
         (call $write_body (i32.const 1) (i32.const 32) (i32.const 3))",
    )
    .await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (202, &b"valuePUT"[..]));
    assert_eq!(answer.headers["name"], "from");
}

#[tokio::test]
async fn after_the_next_handler_the_request_is_closed_and_the_response_needs_buffering() {
    let buffer = "(drop (call $enable_features (i32.const 2)))";
    for (code, text) in [
        (SET, "can't set request header after next handler"),
        (ADD, "can't add request header after next handler"),
        (
            "(call $remove_header (i32.const 0) (i32.const 0) (i32.const 4))",
            "can't remove request header after next handler",
        ),
        ("(call $set_method (i32.const 32) (i32.const 3))", "can't set method after next handler"),
        ("(call $set_uri (i32.const 16) (i32.const 2))", "can't set uri after next handler"),
        ("(call $write_body (i32.const 0) (i32.const 8) (i32.const 5))", "can't write request body after next handler"),
    ] {
        assert_eq!(trap(buffer, code).await, text);
    }
    for (code, text) in [
        (
            "(call $set_status_code (i32.const 200))",
            "can't set status code after next handler unless buffer_response is enabled",
        ),
        (
            "(call $set_header_value (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 5))",
            "can't set response header after next handler unless buffer_response is enabled",
        ),
        (
            "(call $write_body (i32.const 1) (i32.const 8) (i32.const 5))",
            "can't write response body after next handler unless buffer_response is enabled",
        ),
        (
            "(drop (call $read_body (i32.const 0) (i32.const 100) (i32.const 4)))",
            "can't read request body after next handler unless buffer_request is enabled",
        ),
        (
            "(drop (call $read_body (i32.const 1) (i32.const 100) (i32.const 4)))",
            "can't read response body unless buffer_response is enabled",
        ),
        ("(drop (call $get_status_code))", "can't get status code unless buffer_response is enabled"),
    ] {
        assert_eq!(trap("", code).await, text);
        assert!(load(&guest(&format!("{buffer} (global.get $next)"), "", "")).await.is_ok());
    }
}

#[tokio::test]
async fn trailers_need_their_feature() {
    let set = "(call $set_header_value (i32.const 3) (i32.const 0) (i32.const 4) (i32.const 8) (i32.const 5))";
    assert_eq!(trap(set, "").await, "can't set trailers unless trailers is enabled");
    let enable = "(drop (call $enable_features (i32.const 6)))";
    let trailers = answer(enable, set).await.trailers.unwrap();
    assert_eq!(trailers["name"], "value");
    let set = set.replacen("i32.const 3", "i32.const 2", 1);
    let seen = answer(&format!("{enable} {set}"), "").await.seen.unwrap();
    assert_eq!(seen.trailers.unwrap()["name"], "value");
    let count = "(local.set $n (call $get_header_names (i32.const 2) (i32.const 100) (i32.const 200)))
        (call $set_status_code (i32.add (i32.const 500) (i32.wrap_i64 (local.get $n))))";
    assert_eq!(own(count).await.status.as_u16(), 500, "without the feature there are none");
}

#[tokio::test]
async fn features_of_the_start_hold_for_every_request_and_others_for_one() {
    let more = "(func $start (drop (call $enable_features (i32.const 2)))) (start $start)";
    let host = load(&guest("(global.get $next)", "(drop (call $get_status_code))", more)).await.unwrap();
    for _ in 0..2 {
        host.send(request()).await.unwrap();
    }
    let answer = own("(call $set_status_code (i32.add (i32.const 500) (call $enable_features (i32.const 1))))
         (call $set_status_code (i32.add (i32.const 500) (call $enable_features (i32.const 12))))");
    assert_eq!(answer.await.status.as_u16(), 505, "unknown bits are left out");
}

#[tokio::test]
async fn guests_log_with_their_levels() {
    let levels = [(-1, Level::Debug), (0, Level::Info), (1, Level::Warn), (2, Level::Error)];
    for (number, level) in levels {
        let code = format!("(call $log (i32.const {number}) (i32.const 8) (i32.const 5)) (global.get $next)");
        let host = load(&guest(&code, "", "")).await.unwrap();
        host.send(request()).await.unwrap();
        assert_eq!(host.lines.take(), [(level, "value".to_owned())]);
    }
    let none = "(call $log (i32.const 3) (i32.const 8) (i32.const 5)) (global.get $next)";
    let host = load(&guest(none, "", "")).await.unwrap();
    host.send(request()).await.unwrap();
    assert_eq!(host.lines.take(), []);
    let enabled = "(call $set_status_code (i32.add (i32.const 500)
        (i32.add (call $log_enabled (i32.const 0)) (call $log_enabled (i32.const 3)))))";
    assert_eq!(own(enabled).await.status.as_u16(), 501);
}

#[tokio::test]
async fn the_same_guest_handles_request_and_response_and_its_memory_lives_on() {
    // The request counts up in a global and passes the count as context; the response logs what it was given.
    let text = guest(
        "(global.set $count (i64.add (global.get $count) (i64.const 1)))
         (i64.or (i64.shl (global.get $count) (i64.const 32)) (i64.const 1))",
        "(i32.store8 (i32.const 100) (i32.add (local.get $context) (i32.const 48)))
         (i32.store8 (i32.const 101) (i32.add (local.get $error) (i32.const 48)))
         (call $log (i32.const 0) (i32.const 100) (i32.const 2))",
        "(global $count (mut i64) (i64.const 0))",
    );
    let host = load(&text).await.unwrap();
    for _ in 0..3 {
        host.send(request()).await.unwrap();
    }
    let lines: Vec<_> = host.lines.take().into_iter().map(|(_, line)| line).collect();
    assert_eq!(lines, ["10", "20", "30"]);
    assert_eq!(host.engine.live_guests(), Some(1));
}

#[tokio::test]
async fn a_trap_ends_one_guest_and_the_next_request_gets_a_fresh_one() {
    let text = guest(
        "(if (i32.load (i32.const 400)) (then unreachable))
         (i32.store (i32.const 400) (i32.const 1)) (global.get $next)",
        "",
        "",
    );
    let host = load(&text).await.unwrap();
    assert!(host.send(request()).await.is_ok());
    assert!(matches!(host.send(request()).await, Err(Error::Trap { .. })));
    assert!(host.send(request()).await.is_ok());
}

#[tokio::test]
async fn modules_that_break_the_contract_are_refused_with_daprds_texts() {
    for (text, error) in [
        (r#"(module (memory (export "memory") 1))"#, "guest doesn't export func[handle_request]"),
        (
            r#"(module (memory (export "memory") 1) (func (export "handle_request")))"#,
            "guest exports the wrong signature for func[handle_request]. should be () -> (i64)",
        ),
        (
            r#"(module (memory (export "memory") 1) (func (export "handle_request") (result i64) (i64.const 0)))"#,
            "guest doesn't export func[handle_response]",
        ),
        (
            r#"(module (func (export "handle_request") (result i64) (i64.const 0))
                (func (export "handle_response") (param i32 i32)))"#,
            "guest doesn't export memory[memory]",
        ),
    ] {
        assert_eq!(load(text).await.err().unwrap().to_string(), error);
    }
    let start = guest("(i64.const 0)", "", r#"(func (export "_start") unreachable)"#);
    assert!(matches!(load(&start).await.err().unwrap(), Error::Trap { .. }), "a guest that cannot start fails at once");
    let early = guest("(i64.const 0)", "", r#"(func (export "_start") (call $set_status_code (i32.const 200)))"#);
    assert!(load(&early).await.err().unwrap().to_string().contains("there is no request now"));
}
