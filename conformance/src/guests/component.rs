//! Components of `wasi:http` 0.2.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// What the guest is: the text is that of `wasm-host`'s tests.
const MODULE: &str = include_str!("../../../wasm-host/tests/guests/http.wat");
const IO: &str = include_str!("../../../wasm-host/tests/it/component/wit/io.wit");
const HTTP: &str = include_str!("../../../wasm-host/tests/it/component/wit/http.wit");
const WORLD: &str = "package bench:guest;
world guest { import wasi:http/types@0.2.0; export wasi:http/incoming-handler@0.2.0; }";

/// A component whose handler runs `handle`: statements that may use what the text of the module has.
///
/// # Panics
///
/// `handle` is no WebAssembly.
pub fn http_component(handle: &str) -> Vec<u8> {
    let mut resolve = Resolve::new();
    resolve.push_str("io.wit", IO).expect("WIT of wasi:io");
    resolve.push_str("http.wit", HTTP).expect("WIT of wasi:http");
    let package = resolve.push_str("guest.wit", WORLD).expect("WIT of this file");
    let world = resolve.select_world(&[package], Some("guest")).expect("the world of this file");
    let text = MODULE.replace(";; HANDLE", handle);
    let mut bytes = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).expect("a section more");
    let mut encoder = ComponentEncoder::default().validate(true).module(&bytes).expect("a module of this world");
    encoder.encode().unwrap_or_else(|error| panic!("{error:#}\n{text}"))
}
