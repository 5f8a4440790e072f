//! Guests that call host functions in any order with any numbers: nothing may panic, hang, or end in anything but an
//! answer, a status or a trap.

use std::fmt::Write;
use std::time::Duration;

use http::{Request, Response};
use proptest::prelude::*;
use wasm_host::abi::http_wasm::{HttpSettings, HttpWasm};
use wasm_host::abi::proxy_wasm::Direction;
use wasm_host::body::Body;
use wasm_host::{Engine, Error, Limits, PoolSettings, Settings};

use crate::guest::{Lines, module};
use crate::proxy_wasm::guest::{IMPORTS, filter, load, request_headers};

/// The functions of http-wasm: parameters, and whether one gives an `i32`, an `i64` or nothing.
const HTTP: [(&str, &str, &str); 19] = [
    ("enable_features", "i", "i"),
    ("get_config", "ii", "i"),
    ("log_enabled", "i", "i"),
    ("log", "iii", ""),
    ("get_header_names", "iii", "I"),
    ("get_header_values", "iiiii", "I"),
    ("set_header_value", "iiiii", ""),
    ("add_header_value", "iiiii", ""),
    ("remove_header", "iii", ""),
    ("read_body", "iii", "I"),
    ("write_body", "iii", ""),
    ("get_method", "ii", "i"),
    ("set_method", "ii", ""),
    ("get_uri", "ii", "i"),
    ("set_uri", "ii", ""),
    ("get_protocol_version", "ii", "i"),
    ("get_source_addr", "ii", "i"),
    ("get_status_code", "", "i"),
    ("set_status_code", "i", ""),
];

/// Numbers at which host functions could stumble, and any other.
fn number() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(0u32),
        Just(1),
        Just(4),
        Just(u32::MAX),
        Just(i32::MIN as u32),
        Just(65_535),
        Just(65_536),
        Just(131_071),
        Just(131_072),
        0..16u32,
        0..2_000u32,
        any::<u32>(),
    ]
}

/// Calls: which function, with which numbers.
fn calls() -> impl Strategy<Value = Vec<(usize, Vec<u32>)>> {
    proptest::collection::vec((any::<prop::sample::Index>(), proptest::collection::vec(number(), 12)), 1..12)
        .prop_map(|calls| calls.into_iter().map(|(index, numbers)| (index.index(1 << 16), numbers)).collect())
}

fn arguments(parameters: &str, numbers: &[u32]) -> String {
    let mut text = String::new();
    for (kind, number) in parameters.chars().zip(numbers) {
        let kind = if kind == 'i' { "i32" } else { "i64" };
        let _ = write!(text, " ({kind}.const {number})");
    }
    text
}

fn is_fair(outcome: Result<(), Error>) -> Result<(), TestCaseError> {
    match outcome {
        Ok(()) | Err(Error::Trap { .. } | Error::OutOfTime { .. } | Error::OutOfMemory { .. }) => Ok(()),
        Err(other) => Err(TestCaseError::fail(format!("{other:?}"))),
    }
}

fn limits() -> Limits {
    Limits { time: Duration::from_secs(1), wall: Some(Duration::from_secs(5)), ..Limits::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn proxy_wasm_guests(request in calls(), response in calls()) {
        let code = |calls: &[(usize, Vec<u32>)]| {
            calls.iter().fold(String::new(), |mut code, (index, numbers)| {
                let (name, parameters) = IMPORTS[index % IMPORTS.len()];
                let _ = write!(code, "(drop (call ${name}{}))", arguments(parameters, numbers));
                code
            })
        };
        let text = filter(&format!(
            r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {} (i32.const 0))
            (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) {} (i32.const 0))"#,
            code(&request), code(&response)
        ));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        is_fair(runtime.block_on(async {
            let plugin = load(&text).await?;
            let mut session = plugin.proxy.open().await?;
            session.headers(Direction::Request, request_headers(), false).await?;
            session.body(Direction::Request, b"body", true).await?;
            session.headers(Direction::Response, request_headers(), true).await?;
            session.close().await
        }))?;
    }

    #[test]
    fn http_wasm_guests(request in calls(), response in calls(), features in 0..8u32) {
        let code = |calls: &[(usize, Vec<u32>)]| {
            calls.iter().fold(String::new(), |mut code, (index, numbers)| {
                let (name, parameters, result) = HTTP[index % HTTP.len()];
                let call = format!("(call ${name}{})", arguments(parameters, numbers));
                let _ = if result.is_empty() { write!(code, "{call}") } else { write!(code, "(drop {call})") };
                code
            })
        };
        let mut text = "(module\n".to_owned();
        let types = |kinds: &str| kinds.chars().map(|kind| if kind == 'i' { " i32" } else { " i64" }).collect::<String>();
        for (name, parameters, result) in HTTP {
            let result = if result.is_empty() { String::new() } else { format!("(result{})", types(result)) };
            let parameters = types(parameters);
            let _ = writeln!(text, r#"(import "http_handler" "{name}" (func ${name} (param{parameters}) {result}))"#);
        }
        let _ = write!(
            text,
            r#"(memory (export "memory") 2) (data (i32.const 0) "/name")
            (func (export "handle_request") (result i64)
                (drop (call $enable_features (i32.const {features}))) {} (i64.const 1))
            (func (export "handle_response") (param i32 i32) {}))"#,
            code(&request), code(&response)
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        is_fair(runtime.block_on(async {
            let engine = Engine::new(Settings { instances: 2, ..Settings::default() })?;
            let settings = HttpSettings {
                config: "configured".into(),
                is_strict: false,
                limits: limits(),
                pool: PoolSettings::default(),
                body_limit: 1 << 16,
                log: Lines::new(),
            };
            let handler = HttpWasm::new(&engine, module(&engine, &text).await, settings).await?;
            let request = Request::post("/path?query").header("host", "here").body(Body::full("body")).unwrap();
            handler.handle(request, "127.0.0.1:1".into(), async |_| Response::new(Body::full("answer"))).await.map(drop)
        }))?;
    }
}
