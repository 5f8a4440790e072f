//! Functions on the sidecar of tests.

use http::{Request, StatusCode};
use wasm_host::function::{Message, Outcome};
use wasm_host::log::Level;
use wasm_host::sidecar::Grants;
use wasm_host::testkit::{Call, Guest};

use crate::guest::wasm;
use crate::proxy_wasm::guest::filter;

/// Saves a request's body, publishes it, and answers it.
fn notes() -> String {
    filter(
        r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32)
            (drop (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 1000) (i32.const 16) (i32.const 20)))
            (call $status (call $proxy_set_state 'store' 'note' (i32.load (i32.const 16)) (i32.load (i32.const 20))))
            (call $status (call $proxy_publish_event 'pubsub' 'saved' (i32.load (i32.const 16)) (i32.load (i32.const 20)) '' ''))
            (drop (call $proxy_send_local_response (i32.const 201) '' 'saved' '' (i32.const -1)))
            (i32.const 1))"#,
    )
}

#[tokio::test]
async fn a_function_runs_on_a_sidecar_that_remembers() {
    let grants = Grants { state: vec!["store".into()], publish: vec!["pubsub/*".into()], ..Grants::default() };
    let guest = Guest::load("notes", wasm(&notes()), grants).await.unwrap();
    let answer = guest.call(Request::post("/notes").body("milk").unwrap()).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::CREATED, &b"saved"[..]));
    assert_eq!(guest.sidecar.get("store", "note").as_deref(), Some(&b"milk"[..]));
    let calls = guest.sidecar.calls();
    assert!(
        matches!(&calls[..], [Call::Publish(event)] if event.topic == "saved" && event.data == "milk"),
        "{calls:?}"
    );
    let message = Message {
        pubsub: "pubsub".into(),
        topic: "orders".into(),
        path: "/orders".into(),
        envelope: r#"{"data": 1}"#.into(),
    };
    assert_eq!(guest.take(message).await, Ok(Outcome::Success));
    assert_eq!(guest.sidecar.get("store", "note").as_deref(), Some(&br#"{"data": 1}"#[..]));
}

#[tokio::test]
async fn what_is_not_granted_is_refused_here_too() {
    let guest = Guest::load("notes", wasm(&notes()), Grants::default()).await.unwrap();
    guest.call(Request::post("/notes").body("milk").unwrap()).await.unwrap();
    assert_eq!(guest.sidecar.get("store", "note"), None);
    let warnings: Vec<String> =
        guest.lines().into_iter().filter(|(level, _)| *level == Level::Warn).map(|(_, line)| line).collect();
    let line =
        "notes: the function notes may not change the state store 'store': add `state: [\"store\"]` to its `grants`";
    assert_eq!(warnings[0], line);
}
