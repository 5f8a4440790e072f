//! How a guest can end, and what its caller learns.

use std::time::Duration;

use http_body_util::BodyExt;
use wasm_host::body::Body;
use wasm_host::log::Level;
use wasm_host::{Engine, Error, Limits, Settings};

use super::guest::{ask, function, text};
use crate::guest::engine;

const HELLO: &str = "(call $answer) (call $write (i32.const 1024) (i32.const 5)) (call $finish)";
const LOOP: &str = "(loop $again (br $again))";

/// What keeps an answer from beginning.
async fn error(handle: &str, limits: Limits) -> Error {
    let engine = engine();
    let (function, _) = function(&engine, handle, limits).await;
    let error = ask(&function, Body::full("")).await.err().expect("it cannot end well");
    assert_eq!(engine.live_guests(), Some(0));
    error
}

/// What ends an answer before its end, whether it has begun by then or not.
async fn broken(handle: &str, limits: Limits) -> String {
    let engine = engine();
    let (function, _) = function(&engine, handle, limits).await;
    let error = match ask(&function, Body::full("")).await {
        Err(error) => error.to_string(),
        Ok(response) => response.into_body().collect().await.expect_err("it cannot end well").to_string(),
    };
    assert_eq!(engine.live_guests(), Some(0));
    error
}

/// Enough for the guest to wait for its reader, and so for its answer to begin.
fn begun(then: &str) -> String {
    format!(
        "(call $answer)
         (loop $more
           (call $write (i32.const 1024) (i32.const 4096))
           (local.set $count (i32.add (local.get $count) (i32.const 1)))
           (br_if $more (i32.lt_u (local.get $count) (i32.const 40))))
         {then}"
    )
}

#[tokio::test]
async fn a_guest_that_finishes_has_answered() {
    let engine = engine();
    let (function, _) = function(&engine, HELLO, Limits::default()).await;
    for _ in 0..3 {
        let response = ask(&function, Body::full("")).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(text(response).await, "hello");
    }
    assert_eq!(engine.live_guests(), Some(0));
}

#[tokio::test]
async fn no_response_is_an_error_that_says_so() {
    let error = error("", Limits::default()).await;
    assert!(matches!(&error, Error::NoAnswer { reason, .. } if reason.contains("without setting")), "{error}");
}

#[tokio::test]
async fn an_error_instead_of_a_response_is_named() {
    // The case `configuration-error`.
    let set = "(call $set (global.get $out) (i32.const 1) (i32.const 37)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))";
    let error = error(set, Limits::default()).await;
    assert!(matches!(&error, Error::NoAnswer { reason, .. } if reason.contains("ConfigurationError")), "{error}");
}

#[tokio::test]
async fn a_trap_is_an_error_with_the_functions_in_it() {
    let error = error("unreachable", Limits::default()).await;
    let Error::Trap { reason, backtrace, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("unreachable"), "{reason}");
    assert!(!backtrace.is_empty());
}

#[tokio::test]
async fn a_short_answer_that_is_dropped_or_left_open_is_an_error() {
    let dropped = "(call $answer) (call $write (i32.const 1024) (i32.const 5))
        (call $drop_stream (global.get $stream)) (call $drop_body (global.get $body))";
    let text = broken(dropped, Limits::default()).await;
    assert!(text.contains("broke off") && text.contains("dropped"), "{text}");
    let open = "(call $answer) (call $write (i32.const 1024) (i32.const 5))";
    let text = broken(open, Limits::default()).await;
    assert!(text.contains("broke off") && text.contains("without finishing"), "{text}");
    let text = broken(&format!("{open} unreachable"), Limits::default()).await;
    assert!(text.contains("trapped"), "{text}");
}

#[tokio::test]
async fn an_answer_that_has_begun_ends_with_the_guests_error() {
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let text = broken(&begun("unreachable"), limits).await;
    assert!(text.contains("trapped") && text.contains("unreachable"), "{text}");
    let text = broken(&begun(""), limits).await;
    assert!(text.contains("broke off") && text.contains("without finishing"), "{text}");
    let text =
        broken(&begun("(call $drop_stream (global.get $stream)) (call $drop_body (global.get $body))"), limits).await;
    assert!(text.contains("broke off") && text.contains("dropped"), "{text}");
    let text = broken(&begun(LOOP), limits).await;
    assert!(text.contains("50ms"), "{text}");
}

#[tokio::test]
async fn an_error_after_the_answer_has_begun_is_in_the_log() {
    let engine = engine();
    let (function, log) = function(&engine, &begun("unreachable"), Limits::default()).await;
    let response = ask(&function, Body::full("")).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    let lines = log.take();
    assert!(lines.iter().any(|(level, line)| *level == Level::Error && line.contains("unreachable")), "{lines:?}");
}

#[tokio::test]
async fn an_endless_loop_is_stopped() {
    let limits = Limits { time: Duration::from_millis(50), ..Limits::default() };
    let error = error(LOOP, limits).await;
    assert!(matches!(&error, Error::OutOfTime { limit, .. } if *limit == limits.time), "{error}");
}

#[tokio::test]
async fn a_guest_that_waits_for_ever_has_a_limit_of_its_own() {
    let engine = engine();
    let limits = Limits { wall: Some(Duration::from_millis(50)), ..Limits::default() };
    let (function, _) = function(&engine, "(drop (call $read))", limits).await;
    let silence = Body::stream(http_body_util::StreamBody::new(futures::stream::pending()));
    let error = ask(&function, silence).await.err().unwrap();
    assert!(matches!(&error, Error::OutOfTime { .. }), "{error}");
    assert_eq!(engine.live_guests(), Some(0));
}

#[tokio::test]
async fn memory_beyond_the_limit_ends_the_guest_with_the_number() {
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let grow = "(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable))";
    let error = error(grow, limits).await;
    assert_eq!(error, Error::OutOfMemory { guest: "test".into(), limit: 1 << 20, wanted: 102 << 16 }, "{error}");
}

#[tokio::test]
async fn fuel_ends_a_guest_where_the_engine_counts_it() {
    let engine = Engine::new(Settings { fuel: true, instances: 5, ..Settings::default() }).unwrap();
    let limits = Limits { fuel: Some(10_000), ..Limits::default() };
    let (function, _) = function(&engine, LOOP, limits).await;
    let error = ask(&function, Body::full("")).await.err().unwrap();
    assert_eq!(error, Error::OutOfFuel { guest: "test".into(), limit: 10_000 });
}

#[tokio::test]
async fn one_guest_more_than_there_is_room_for_is_refused_and_later_let_in() {
    let engine = Engine::new(Settings { instances: 1, ..Settings::default() }).unwrap();
    let (function, _) = function(&engine, &format!("(drop (call $read)) {HELLO}"), Limits::default()).await;
    let silence = Body::stream(http_body_util::StreamBody::new(futures::stream::pending()));
    let first = ask(&function, silence);
    tokio::pin!(first);
    assert!(futures::poll!(first.as_mut()).is_pending());
    let second = ask(&function, Body::full("")).await;
    assert!(second.as_ref().is_err_and(Error::is_busy), "{:?}", second.err());
    assert_eq!(wasm_host::Function::guests(&function), 1);
}

#[tokio::test]
async fn a_call_that_is_dropped_stops_its_guest() {
    let engine = engine();
    let (function, _) = function(&engine, LOOP, Limits::default()).await;
    let call = ask(&function, Body::full(""));
    assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    assert_eq!(engine.live_guests(), Some(0));
}

#[tokio::test]
async fn an_answer_whose_reader_goes_away_stops_its_guest() {
    let engine = engine();
    let (function, _) = function(&engine, &begun(LOOP), Limits::default()).await;
    let response = ask(&function, Body::full("")).await.unwrap();
    let mut body = response.into_body();
    body.frame().await.unwrap().unwrap();
    drop(body);
    let gone = async {
        while engine.live_guests() != Some(0) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(3), gone).await.expect("the guest is stopped before its own limit");
}
