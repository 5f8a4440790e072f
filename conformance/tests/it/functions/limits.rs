//! What ends a guest, and that nothing of it is left.

use std::net::{Ipv4Addr, TcpListener};

use conformance::guests::{CALLBACKS, callback, relay};
use conformance::target::free_ports;

use super::guest::{function, module, on_head};
use super::{Running, start_with, text, wait_for};

/// Two guests at most, and no patience: a place that was lost would be missed at once.
const SPEC: &str = "  instances: {max: 2, wait: 50ms}\n  limits: {time: 100ms, timeout: 500ms, memory: 1Mi}\n  grants: {hosts: ['*']}\n";

fn spec(name: &str) -> String {
    format!("  triggers: [{{http: {{path: /{name}}}}}]\n{SPEC}")
}

/// What the list of functions says.
fn list(running: &Running, admin: u16) -> Vec<serde_json::Value> {
    let (status, body) = text(running.send(admin, "GET /wasm/functions HTTP/1.1\r\nhost: x\r\n\r\n"));
    assert_eq!(status, 200, "{body}");
    let list: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    list["functions"].as_array().cloned().unwrap_or_default()
}

/// Waits until no call is under way, and no guest is left but those of functions that are in order.
fn is_whole(running: &Running, admin: u16, in_order: &[&str]) {
    wait_for(running, "calls and guests are gone", || {
        list(running, admin).iter().all(|function| {
            let is_in_order = in_order.iter().any(|name| function["name"] == *name);
            function["underWay"] == 0 && (is_in_order || function["guests"] == 0)
        })
    });
}

/// Takes connections, and says nothing.
fn silent_host() -> (TcpListener, String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("a bound listener"));
    (listener, origin)
}

#[test]
fn what_a_guest_ends_with_has_its_status_and_leaves_its_place_to_others() {
    let (_silent, origin) = silent_host();
    let [admin] = free_ports();
    let grow = "(loop $more (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable)) (br $more))";
    let down = r#"(func $down (call $down)) (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (call $down) (i32.const 0))"#;
    let mut all = vec![
        ("loop".to_owned(), on_head("(loop $again (br $again))"), 504, "ERR_FUNCTION_TIMEOUT"),
        ("memory".to_owned(), on_head(grow), 500, "ERR_FUNCTION_LIMIT"),
        ("stack".to_owned(), module(down), 500, "call stack exhausted"),
        ("slow".to_owned(), relay(&origin), 504, "ERR_FUNCTION_TIMEOUT"),
    ];
    let seen = |name: &&str| !matches!(*name, "proxy_on_request_trailers" | "proxy_on_http_call_response");
    all.extend(CALLBACKS.iter().map(|(name, ..)| *name).filter(seen).map(|name| {
        let answer = callback("proxy_on_request_headers", "(call $say 'text')");
        let before = if name == "proxy_on_request_headers" { "" } else { &answer };
        let code = format!("{before}{}", callback(name, "unreachable"));
        (name.replace('_', "-"), module(&code), 500, "ERR_FUNCTION_FAILED")
    }));
    all.push(("good".to_owned(), on_head("(call $say 'hello')"), 200, "hello"));
    let declare = |folder: &std::path::Path| {
        all.iter().map(|(name, bytes, ..)| function(folder, name, bytes, &spec(name))).collect::<Vec<_>>()
    };
    let running = start_with(declare, &["--functions-admin-port", &admin.to_string()]);
    // More often than there are places.
    for _ in 0..3 {
        for (name, _, status, part) in &all {
            // Only a request with a body has its callback.
            let (found, body) = text(running.request(&format!("POST /{name}"), "", "body"));
            assert!(found == *status && body.contains(part), "{name}: {found} {body}\n{}", running.sidecar.log());
        }
    }
    is_whole(&running, admin, &["good"]);
    let metrics = text(running.send(running.sidecar.metrics, "GET / HTTP/1.1\r\nhost: x\r\n\r\n")).1;
    for (function, outcome) in [("loop", "timeout"), ("memory", "limit"), ("stack", "trap"), ("good", "success")] {
        let of_function = format!("function=\"{function}\"");
        let of_outcome = format!("outcome=\"{outcome}\"");
        let mut lines = metrics.lines().filter(|line| line.starts_with("ottavo_function_count{"));
        let found = lines.any(|line| line.contains(&of_function) && line.contains(&of_outcome) && line.ends_with(" 3"));
        assert!(found, "{function} {outcome}: {metrics}");
    }
}

#[test]
fn instructions_can_be_limited() {
    let running = start_with(
        |folder| {
            let fuel = |name: &str| format!("  triggers: [{{http: {{path: /{name}}}}}]\n  limits: {{fuel: 50000}}\n");
            vec![
                function(folder, "loop", &on_head("(loop $again (br $again))"), &fuel("loop")),
                function(folder, "hello", &on_head("(call $say 'hello')"), &fuel("hello")),
            ]
        },
        &[],
    );
    for _ in 0..3 {
        let (status, body) = running.get("/loop");
        assert!(status == 500 && body.contains("ERR_FUNCTION_LIMIT") && body.contains("50000"), "{status} {body}");
        assert_eq!(running.get("/hello"), (200, "hello".into()));
    }
}

#[test]
fn a_guest_gives_way_to_a_new_one_after_its_calls_or_its_growth() {
    // Each answer says how many calls the guest has had.
    let count = "(global $calls (mut i32) (i32.const 48))";
    let say = |more: &str| {
        let code = format!(
            "(global.set $calls (i32.add (global.get $calls) (i32.const 1)))
             (i32.store8 (i32.const 80) (global.get $calls)) (call $say (i32.const 80) (i32.const 1)) {more}"
        );
        module(&format!("{count}{}", callback("proxy_on_request_headers", &code)))
    };
    let running = start_with(
        |folder| {
            let spec = |name: &str, more: &str| {
                format!("  triggers: [{{http: {{path: /{name}}}}}]\n  instances: {{max: 1, {more}}}\n")
            };
            let grow = "(drop (memory.grow (i32.const 1)))";
            vec![
                function(folder, "calls", &say(""), &spec("calls", "calls: 3")),
                function(folder, "growth", &say(grow), &spec("growth", "growth: 64Ki")),
                function(folder, "never", &say(""), &spec("never", "min: 1")),
            ]
        },
        &[],
    );
    let answers = |path: &str| (0..5).map(|_| running.get(path).1).collect::<Vec<_>>().concat();
    assert_eq!(answers("/calls"), "12312");
    assert_eq!(answers("/growth"), "12121");
    assert_eq!(answers("/never"), "12345");
}
