//! What a call costs. Not a test: `cargo test --release -p wasm-host --test it measure -- --ignored --nocapture`.

use std::time::Instant;

use wasm_host::body::Body;
use wasm_host::{Engine, Limits, Settings};

use super::guest::{ask, function, text};

const CALLS: u32 = 20_000;

#[tokio::test]
#[ignore = "a measurement"]
async fn a_call_with_a_fresh_guest() {
    let engine = Engine::new(Settings::default()).unwrap();
    let hello = "(call $answer) (call $write (i32.const 1024) (i32.const 5)) (call $finish)";
    for (name, handle) in [("instance and trap-free nothing", ""), ("hello", hello)] {
        let (function, _) = function(&engine, handle, Limits::default()).await;
        for round in 0..3 {
            let begin = Instant::now();
            for _ in 0..CALLS {
                if let Ok(response) = ask(&function, Body::full("")).await {
                    assert_eq!(text(response).await, "hello");
                }
            }
            let each = begin.elapsed() / CALLS;
            println!("{name}, round {round}: {each:?} a call");
        }
    }
}
