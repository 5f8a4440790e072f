//! proxy-wasm guests. In their code `'text'` stands for the pointer and the length of that text.

use std::fmt::Write;

/// The functions of the ABI that the guests here use, with their parameters; all give a status.
const IMPORTS: [(&str, usize); 15] = [
    ("proxy_log", 3),
    ("proxy_get_buffer_bytes", 5),
    ("proxy_set_buffer_bytes", 5),
    ("proxy_replace_header_map_value", 5),
    ("proxy_send_local_response", 8),
    ("proxy_get_state", 6),
    ("proxy_set_state", 6),
    ("proxy_publish_event", 10),
    ("proxy_invoke_service", 8),
    ("proxy_set_tick_period_milliseconds", 1),
    ("proxy_get_secret", 6),
    ("proxy_invoke_binding", 10),
    ("proxy_http_call", 10),
    ("proxy_set_effective_context", 1),
    ("proxy_get_header_map_value", 5),
];

const HELPERS: &str = r#"
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 65536))
    (func $allocate (export "malloc") (param $size i32) (result i32)
        ;; Nothing is given back: the pages are used in turn.
        (if (i32.gt_u (i32.add (global.get $heap) (local.get $size)) (i32.const 131072))
            (then (global.set $heap (i32.const 65536))))
        (global.set $heap (i32.add (global.get $heap) (local.get $size)))
        (i32.sub (global.get $heap) (local.get $size)))
    (func (export "proxy_abi_version_0_2_0"))
    (func (export "proxy_on_context_create") (param i32 i32))
    ;; Adds to the answer.
    (func $say (param $text i32) (param $length i32)
        (drop (call $proxy_set_buffer_bytes
            (i32.const 1) (i32.const 0x7fffffff) (i32.const 0) (local.get $text) (local.get $length))))
    ;; Adds what a function has given back, or its status.
    (func $show (param $status i32)
        (if (local.get $status)
            (then
                (i32.store8 (i32.const 64) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
                (i32.store8 (i32.const 65) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
                (call $say (i32.const 64) (i32.const 2)))
            (else (call $say (i32.load (i32.const 16)) (i32.load (i32.const 20))))))
    ;; The request's body, where `show` finds it.
    (func $body (result i32)
        (call $proxy_get_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 1000000) (i32.const 16) (i32.const 20)))
"#;

/// The results of functions that give bytes back.
pub const OUT: &str = "(i32.const 16) (i32.const 20)";

/// A module with these functions beside imports, memory and allocator.
///
/// # Panics
///
/// `code` is no WebAssembly.
pub fn module(code: &str) -> Vec<u8> {
    let mut text = "(module\n".to_owned();
    for (name, parameters) in IMPORTS {
        let parameters = " i32".repeat(parameters);
        let _ = writeln!(text, r#"(import "env" "{name}" (func ${name} (param{parameters}) (result i32)))"#);
    }
    text.push_str(HELPERS);
    let (mut data, mut at) = (String::new(), 1024);
    for (number, part) in code.split('\'').enumerate() {
        if number % 2 == 0 {
            text.push_str(part);
            continue;
        }
        let _ = writeln!(data, r#"(data (i32.const {at}) "{part}")"#);
        let _ = write!(text, "(i32.const {at}) (i32.const {})", part.len());
        at += part.len() + 1;
    }
    text = text + &data + ")";
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// A module that runs `code` when it sees a request's head, and goes on.
pub fn on_head(code: &str) -> Vec<u8> {
    module(&callback("proxy_on_request_headers", code))
}

/// A module that runs `code` when it sees a request's body, and goes on.
pub fn on_body(code: &str) -> Vec<u8> {
    module(&callback("proxy_on_request_body", code))
}

/// A module that asks a host (`http://host:port`) for `/` when it sees a request's head, waits, and answers with what
/// comes back; with the status of the call when that is refused.
pub fn relay(origin: &str) -> Vec<u8> {
    let authority = origin.trim_start_matches("http://");
    let pairs = [(":method", "GET"), (":path", "/"), (":authority", authority)];
    let pairs = pairs.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    let bytes = wasm_host::abi::proxy_wasm::map::encode(&pairs);
    let (length, text) = (bytes.len(), bytes.iter().map(|byte| format!("\\{byte:02x}")).collect::<String>());
    module(&format!(
        r#"(data (i32.const 512) "{text}")
    (global $context (mut i32) (i32.const 0))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $status i32)
        (global.set $context (local.get 0))
        (local.set $status (call $proxy_http_call '{origin}' (i32.const 512) (i32.const {length})
            (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 10000) (i32.const 24)))
        (if (result i32) (local.get $status)
            (then (call $show (local.get $status)) (i32.const 0))
            (else (i32.const 1))))
    (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
        (drop (call $proxy_set_effective_context (global.get $context)))
        (drop (call $proxy_get_buffer_bytes (i32.const 4) (i32.const 0) (i32.const 100000) {OUT}))
        (drop (call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0)
            (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.const 0) (i32.const 0) (i32.const -1))))"#
    ))
}

/// The callbacks of a stream, with their parameters and whether they give a number back.
pub const CALLBACKS: [(&str, usize, bool); 9] = [
    ("proxy_on_request_headers", 3, true),
    ("proxy_on_request_body", 3, true),
    ("proxy_on_request_trailers", 2, true),
    ("proxy_on_response_headers", 3, true),
    ("proxy_on_response_body", 3, true),
    ("proxy_on_done", 1, true),
    ("proxy_on_log", 1, false),
    ("proxy_on_delete", 1, false),
    ("proxy_on_http_call_response", 5, false),
];

/// A callback that runs `code`, and then says what means "go on".
///
/// # Panics
///
/// There is no callback of this name.
pub fn callback(name: &str, code: &str) -> String {
    let (_, parameters, has_result) =
        CALLBACKS.into_iter().find(|(known, ..)| *known == name).unwrap_or_else(|| panic!("there is no {name}"));
    let parameters = " i32".repeat(parameters);
    // A context is done, and a stream goes on.
    let answer = if name == "proxy_on_done" { 1 } else { 0 };
    let (result, answer) =
        if has_result { ("(result i32)", format!("(i32.const {answer})")) } else { ("", String::new()) };
    format!(r#"(func (export "{name}") (param{parameters}) {result} {code} {answer})"#)
}
