//! The checks of http-wasm's conformance kit, over its own guest: `tck/tck.wasm` of http-wasm-host-go, in the folder that
//! `OTTAVO_WASM_GUESTS` names. Each is made once as HTTP/1.1 and once as HTTP/2.

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};
use http_body_util::BodyExt;
use wasm_host::abi::http_wasm::{HttpSettings, HttpWasm};
use wasm_host::body::Body;
use wasm_host::{Limits, PoolSettings, Settings};

use crate::guest::Lines;
use crate::upstream::guest;

/// One check: its name, what is sent, and what the answer must hold.
struct Check {
    name: String,
    method: &'static str,
    uri: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: usize,
    /// Headers of the answer; `None`: it must not be there.
    expect: Vec<(String, Option<&'static str>)>,
}

fn check(name: impl Into<String>) -> Check {
    Check { name: name.into(), method: "GET", uri: "/", headers: Vec::new(), body: 0, expect: Vec::new() }
}

fn checks() -> Vec<Check> {
    let mut checks = vec![check("get_protocol_version"), check("get_source_addr")];
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"] {
        checks.push(Check { method, ..check(format!("get_method/{method}")) });
    }
    let next = |name: &str| format!("x-httpwasm-next-{name}");
    checks.push(Check { expect: vec![(next("method"), Some("POST"))], ..check("set_method") });
    for (name, uri) in [
        ("simple", "/simple"),
        ("simple/escaping", "/simple%26clean"),
        ("query", "/animal?name=panda"),
        ("query/escaping", "/disney?name=chip%26dale"),
    ] {
        checks.push(Check { uri, ..check(format!("get_uri/{name}")) });
        checks.push(Check { expect: vec![(next("uri"), Some(uri))], ..check(format!("set_uri/{name}")) });
    }
    for (name, headers) in [
        ("lowercase-key", vec![("single-header", "value")]),
        ("mixedcase-key", vec![("Single-Header", "value")]),
        ("not-exists", vec![]),
        ("multiple-values", vec![("multi-header", "value1"), ("multi-header", "value2")]),
    ] {
        checks.push(Check { headers, ..check(format!("get_header_values/request/{name}")) });
    }
    let headers = vec![("a-header", "value1"), ("b-header", "2")];
    checks.push(Check { headers, ..check("get_header_names/request") });
    let existing = || vec![("existing-header", "bear")];
    for (name, header, first, second) in [
        ("set_header_value/request/new", "new-header", Some("value"), None),
        ("set_header_value/request/existing", "existing-header", Some("value"), None),
        ("add_header_value/request/new", "new-header", Some("value"), None),
        ("add_header_value/request/existing", "existing-header", Some("bear"), Some("value")),
        ("remove_header/request/new", "existing-header", Some("bear"), None),
        ("remove_header/request/existing", "existing-header", None, None),
    ] {
        let expect = vec![(next(&format!("header-{header}-0")), first), (next(&format!("header-{header}-1")), second)];
        checks.push(Check { headers: existing(), expect, ..check(name) });
    }
    for (name, body) in [("empty", 0), ("small", 5), ("medium", 2048), ("large", 4096), ("xlarge", 5000)] {
        checks.push(Check { method: "POST", body, ..check(format!("read_body/request/{name}")) });
    }
    checks
}

/// What stands behind the guest: it tells in headers what it saw.
async fn backend(request: Request<Body>) -> Response<Body> {
    let mut headers = HeaderMap::new();
    let mut tell = |name: String, value: &[u8]| {
        let name = HeaderName::try_from(format!("x-httpwasm-next-{name}")).expect("a name");
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    };
    tell("method".into(), request.method().as_str().as_bytes());
    tell("uri".into(), request.uri().path_and_query().map_or("/", |uri| uri.as_str()).as_bytes());
    for name in request.headers().keys() {
        for (number, value) in request.headers().get_all(name).iter().enumerate() {
            tell(format!("header-{name}-{number}"), value.as_bytes());
        }
    }
    let mut response = Response::new(Body::full(""));
    *response.headers_mut() = headers;
    response
}

#[tokio::test]
async fn every_check_of_the_kit_passes_in_both_versions() {
    let checks = checks();
    assert_eq!(checks.len(), 35);
    let Some(bytes) = guest("tck/tck.wasm") else { return };
    let engine = wasm_host::Engine::new(Settings { instances: 5, ..Settings::default() }).unwrap();
    let settings = HttpSettings {
        config: Default::default(),
        is_strict: false,
        limits: Limits::default(),
        pool: PoolSettings::default(),
        body_limit: 1 << 20,
        log: Lines::new(),
    };
    let handler = HttpWasm::new(&engine, engine.module("tck", bytes).await.unwrap(), settings).await.unwrap();
    for (version, text) in [(Version::HTTP_11, "HTTP/1.1"), (Version::HTTP_2, "HTTP/2.0")] {
        for check in &checks {
            let mut request = Request::builder().version(version).method(check.method).uri(check.uri);
            for (name, value) in &check.headers {
                request = request.header(*name, *value);
            }
            let request = request.header("x-httpwasm-tck-testid", &check.name);
            let request = request.body(Body::full("a".repeat(check.body))).unwrap();
            let response = handler.handle(request, "127.0.0.1:54321".into(), backend).await;
            let response = response.unwrap_or_else(|error| panic!("{}: {error}", check.name));
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("x-httpwasm-tck-failed"), None, "{}", check.name);
            assert_eq!(header("x-httpwasm-tck-handled").as_deref(), Some("1"), "{}", check.name);
            for (name, value) in &check.expect {
                assert_eq!(header(name).as_deref(), *value, "{}: {name}", check.name);
            }
            let body = response.into_body().collect().await.unwrap().to_bytes();
            if check.name == "get_protocol_version" {
                assert_eq!(body, text);
            }
        }
    }
}
