//! WebAssembly guests in the built program: as bindings over both fronts, and before the application.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use conformance::client::http1::{Answer, Plan, exchange};
use conformance::target::Sidecar;
use proto_dapr::runtime::{InvokeBindingRequest, InvokeBindingResponse};

const PATIENCE: Duration = Duration::from_secs(60);

/// Writes its input to its output.
const CAT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 1000))
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.store (i32.const 4) (i32.load (i32.const 8)))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

const EXIT: &str = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const 3))))"#;

const LOOP: &str = r#"(module (func (export "_start") (loop $again (br $again))))"#;

/// Writes eight random bytes.
const RANDOM: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $random (i32.const 100) (i32.const 8)))
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 8))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Marks requests and puts answers into brackets; `/trap` traps.
const BRACKETS: &str = r#"(module
    (import "http_handler" "enable_features" (func $enable (param i32) (result i32)))
    (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
    (import "http_handler" "set_header_value" (func $set_header (param i32 i32 i32 i32 i32)))
    (import "http_handler" "read_body" (func $read_body (param i32 i32 i32) (result i64)))
    (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "x-guest") (data (i32.const 8) "was here") (data (i32.const 16) "[]")
    (func $start (drop (call $enable (i32.const 2)))) (start $start)
    (func (export "handle_request") (result i64)
        (drop (call $get_uri (i32.const 100) (i32.const 100)))
        (if (i32.eq (i32.load8_u (i32.const 101)) (i32.const 116)) (then unreachable))
        (call $set_header (i32.const 0) (i32.const 0) (i32.const 7) (i32.const 8) (i32.const 8))
        (i64.const 1))
    (func (export "handle_response") (param i32 i32) (local $length i64)
        (local.set $length (call $read_body (i32.const 1) (i32.const 1000) (i32.const 60000)))
        (call $write_body (i32.const 1) (i32.const 16) (i32.const 1))
        (call $write_body (i32.const 1) (i32.const 1000) (i32.wrap_i64 (local.get $length)))
        (call $write_body (i32.const 1) (i32.const 17) (i32.const 1))))"#;

/// A component whose module is written into `folder`.
fn component(folder: &Path, name: &str, kind: &str, text: &str, more: &str) -> String {
    let path = folder.join(format!("{name}.wasm"));
    std::fs::write(&path, wat::parse_str(text).expect("a module")).expect("a writable folder");
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}}}\nspec:\n  type: {kind}\n  version: v1\n  \
         metadata:\n  - {{name: url, value: \"file://{}\"}}\n{more}",
        path.display()
    )
}

fn binding(folder: &Path, name: &str, text: &str) -> String {
    component(folder, name, "bindings.wasm", text, "")
}

fn configuration(folder: &Path, spec: &str) -> String {
    let path = folder.join("configuration.yaml");
    let text = format!("apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: c}}\nspec:\n{spec}");
    std::fs::write(&path, text).expect("a writable folder");
    path.to_string_lossy().into_owned()
}

fn post(sidecar: &Sidecar, path: &str, body: &str) -> Answer {
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    let plan = Plan { answers: Some(1), half_close: false, patience: PATIENCE };
    let exchange = exchange(sidecar.http, request.as_bytes(), plan).expect("a connection");
    exchange.answers.into_iter().next().unwrap_or_else(|| panic!("no answer of {path}:\n{}", sidecar.log()))
}

fn execute(sidecar: &Sidecar, name: &str, data: &str) -> Answer {
    post(sidecar, &format!("/v1.0/bindings/{name}"), &format!(r#"{{"operation": "execute", "data": {data}}}"#))
}

async fn execute_grpc(sidecar: &Sidecar, name: &str, data: &[u8]) -> Result<Vec<u8>, tonic::Status> {
    let channel = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{}", sidecar.grpc));
    let channel = channel.expect("an address").connect().await.expect("a connection");
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.expect("a ready connection");
    let request = InvokeBindingRequest {
        name: name.to_owned(),
        operation: "execute".to_owned(),
        data: data.to_vec().into(),
        ..InvokeBindingRequest::default()
    };
    let method = http::uri::PathAndQuery::from_static("/dapr.proto.runtime.v1.Dapr/InvokeBinding");
    let codec = tonic_prost::ProstCodec::<InvokeBindingRequest, InvokeBindingResponse>::default();
    let reply = client.unary(tonic::Request::new(request), method, codec).await?;
    Ok(reply.into_inner().data.to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn bindings_answer_over_both_fronts_and_an_endless_one_delays_nobody() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let endless = component(folder.path(), "endless", "bindings.wasm", LOOP, "  - {name: timeout, value: 1s}\n");
    let sidecar = Sidecar::builder("wasm")
        .resource(binding(folder.path(), "cat", CAT))
        .resource(binding(folder.path(), "exit", EXIT))
        .resource(binding(folder.path(), "random", RANDOM))
        .resource(endless)
        .start();
    let answer = execute(&sidecar, "cat", r#"{"a": "b"}"#);
    assert_eq!((answer.status, answer.body.as_slice()), (200, &br#"{"a":"b"}"#[..]));
    assert_eq!(execute_grpc(&sidecar, "cat", b"bytes \xff").await.expect("a reply"), b"bytes \xff");

    let text = "error invoking output binding exit: module closed with exit_code(3)";
    let answer = execute(&sidecar, "exit", "1");
    assert_eq!(answer.status, 500);
    assert!(String::from_utf8_lossy(&answer.body).contains(text), "{answer:?}");
    let status = execute_grpc(&sidecar, "exit", b"").await.expect_err("an error");
    assert_eq!((status.code(), status.message()), (tonic::Code::Internal, text));
    let wrong = post(&sidecar, "/v1.0/bindings/cat", r#"{"operation": "create"}"#);
    let text = "binding cat does not support operation create. supported operations:execute";
    assert!(String::from_utf8_lossy(&wrong.body).contains(text), "{wrong:?}");

    assert_ne!(execute(&sidecar, "random", "1").body, execute(&sidecar, "random", "1").body);
    std::thread::scope(|scope| {
        let endless = scope.spawn(|| execute(&sidecar, "endless", "1"));
        let begin = Instant::now();
        let mut answered = 0;
        while begin.elapsed() < Duration::from_millis(500) {
            assert_eq!(execute(&sidecar, "cat", "1").body, b"1");
            answered += 1;
        }
        assert!(answered >= 5, "only {answered} calls were answered beside an endless guest");
        let answer = endless.join().expect("an answer");
        assert!(String::from_utf8_lossy(&answer.body).contains("was stopped after 1s"), "{answer:?}");
    });
}

#[test]
fn a_configuration_makes_every_guest_strict() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sidecar = Sidecar::builder("wasm")
        .resource(binding(folder.path(), "random", RANDOM))
        .argument("--config")
        .argument(configuration(folder.path(), "  wasm: {strictSandbox: true}\n"))
        .start();
    assert_eq!(execute(&sidecar, "random", "1").body, b"\x53\x8c\x7f\x96\xb1\x64\xbf\x1b");
    assert_eq!(execute(&sidecar, "random", "1").body, b"\x53\x8c\x7f\x96\xb1\x64\xbf\x1b");
}

/// Answers every request with the request's head.
fn app() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                    head.push(byte[0]);
                }
                let length = head.len();
                let _ = write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                let _ = stream.write_all(&head);
            });
        }
    });
    port
}

#[test]
fn a_guest_stands_before_the_application() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let pipeline = "  appHttpPipeline: {handlers: [{name: brackets, type: middleware.http.wasm}]}\n";
    let sidecar = Sidecar::builder("wasm")
        .resource(component(folder.path(), "brackets", "middleware.http.wasm", BRACKETS, ""))
        .argument("--config")
        .argument(configuration(folder.path(), pipeline))
        .app(app(), "http")
        .start();
    for _ in 0..3 {
        let answer = post(&sidecar, "/v1.0/invoke/wasm/method/hello", "");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 200, "{body}");
        assert!(body.starts_with("[POST /hello") && body.ends_with(']'), "{body}");
        assert!(body.contains("x-guest: was here"), "{body}");
        let answer = post(&sidecar, "/v1.0/invoke/wasm/method/trap", "");
        let body = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, 500, "{body}");
        assert!(body.contains("the guest brackets trapped"), "{body}");
    }
}
