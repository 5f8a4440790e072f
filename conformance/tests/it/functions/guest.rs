//! Functions from WebAssembly text. In their code `'text'` stands for the pointer and the length of that text.

use std::fmt::Write;
use std::path::Path;

/// The functions of the ABI that the guests here use, with their parameters; all give a status.
const IMPORTS: [(&str, usize); 10] = [
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
    module(&format!(
        r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) {code} (i32.const 0))"#
    ))
}

/// A module that runs `code` when it sees a request's body, and goes on.
pub fn on_body(code: &str) -> Vec<u8> {
    module(&format!(r#"(func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) {code} (i32.const 0))"#))
}

/// Writes a module into `folder`, and gives its manifest; `spec` stands below `spec:`.
pub fn function(folder: &Path, name: &str, bytes: &[u8], spec: &str) -> String {
    let path = folder.join(format!("{name}.wasm"));
    replace(&path, bytes);
    format!(
        "apiVersion: ottavo.io/v1alpha1\nkind: Function\nmetadata: {{name: {name}}}\nspec:\n  module: {}\n{spec}",
        path.display()
    )
}

/// Puts a file into the place of another at once.
pub fn replace(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("part");
    std::fs::write(&aside, bytes).expect("a writable folder");
    std::fs::rename(&aside, path).expect("the same folder");
}
