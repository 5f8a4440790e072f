//! Bodies pass as streams, in both directions.

use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wasm_host::Limits;
use wasm_host::body::{Body, BodyError};

use super::guest::{ask, function, text};
use crate::guest::engine;

/// Writes what it reads, piece by piece.
const ECHO: &str = "(call $answer)
    (block $end (loop $next
        (local.set $count (call $read))
        (br_if $end (i32.eqz (local.get $count)))
        (call $write (global.get $piece) (local.get $count))
        (br $next)))
    (call $finish)";

#[tokio::test]
async fn an_answer_begins_before_the_request_has_ended() {
    let engine = engine();
    let (function, _) = function(&engine, ECHO, Limits::default()).await;
    let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, BodyError>>(1);
    let request = Body::stream(StreamBody::new(ReceiverStream::new(receiver)));
    sender.send(Ok(Frame::data(Bytes::from("one")))).await.unwrap();
    let mut answer = ask(&function, request).await.unwrap().into_body();
    let mut piece = async || {
        let frame = tokio::time::timeout(Duration::from_secs(10), answer.frame()).await.expect("it comes");
        frame.map(|frame| frame.unwrap().into_data().unwrap())
    };
    assert_eq!(piece().await.as_deref(), Some(&b"one"[..]));
    sender.send(Ok(Frame::data(Bytes::from("two")))).await.unwrap();
    assert_eq!(piece().await.as_deref(), Some(&b"two"[..]));
    drop(sender);
    assert_eq!(piece().await, None);
}

#[tokio::test]
async fn a_long_body_comes_back_whole() {
    let engine = engine();
    let (function, _) = function(&engine, ECHO, Limits::default()).await;
    let long = "0123456789abcdef".repeat(1 << 16);
    let answer = ask(&function, Body::full(long.clone())).await.unwrap();
    assert_eq!(text(answer).await, long);
}

#[tokio::test]
async fn a_request_that_breaks_off_is_an_end_for_the_guest_and_no_hang() {
    let engine = engine();
    let (function, _) = function(&engine, ECHO, Limits::default()).await;
    let frames = [Ok(Frame::data(Bytes::from("one"))), Err(BodyError::from("reset"))];
    let request = Body::stream(StreamBody::new(futures::stream::iter(frames)));
    assert_eq!(text(ask(&function, request).await.unwrap()).await, "one");
}

#[tokio::test]
async fn a_hundred_calls_at_once_do_not_mix() {
    let engine = wasm_host::Engine::new(wasm_host::Settings { instances: 200, ..Default::default() }).unwrap();
    let (function, _) = function(&engine, ECHO, Limits::default()).await;
    let calls = (0..100).map(|number| {
        let (function, body) = (&function, format!("body {number}"));
        async move { (body.clone(), text(ask(function, Body::full(body)).await.unwrap()).await) }
    });
    for (sent, received) in futures::future::join_all(calls).await {
        assert_eq!(sent, received);
    }
    assert_eq!(engine.live_guests(), Some(0));
}
