//! Components from core modules in WebAssembly text, made as the toolchains make them.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use wasm_host::abi::component::{Component, ComponentSettings};
use wasm_host::body::Body;
use wasm_host::sidecar::{Caller, Sidecar};
use wasm_host::{Engine, Error, Function, Limits};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::guest::Lines;

/// A component of a world, whose imports and exports the module has by their canonical names.
pub fn component(world: &str, module: &str) -> Bytes {
    let mut resolve = Resolve::new();
    resolve.push_str("io.wit", include_str!("wit/io.wit")).expect("WIT of wasi:io");
    resolve.push_str("http.wit", include_str!("wit/http.wit")).expect("WIT of wasi:http");
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/wit")).expect("our own WIT");
    let text = format!("package test:guest; world guest {{ {world} }}");
    let package = resolve.push_str("guest.wit", &text).unwrap_or_else(|error| panic!("{error:#}\n{text}"));
    let world = resolve.select_world(&[package], Some("guest")).expect("the world");
    let mut bytes = wat::parse_str(module).unwrap_or_else(|error| panic!("{error}\n{module}"));
    embed_component_metadata(&mut bytes, &resolve, world, StringEncoding::UTF8).expect("a section more");
    let mut encoder = ComponentEncoder::default().validate(true).module(&bytes).expect("a module of this world");
    encoder.encode().unwrap_or_else(|error| panic!("{error:#}\n{module}")).into()
}

/// A `wasi:http` guest. `handle` are the statements of its handler. It can use `$answer`, which sets a response and opens
/// its body, `$write` (address and length), `$finish`, and `$read`, which puts a piece of the request's body at `$piece`
/// and gives its length, 0 at the end.
pub fn http_guest(handle: &str) -> Bytes {
    component(
        "import wasi:http/types@0.2.0; export wasi:http/incoming-handler@0.2.0;",
        &format!(
            r#"(module
  (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (result i32)))
  (import "wasi:http/types@0.2.0" "[constructor]outgoing-response" (func $response (param i32) (result i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-response.body" (func $response_body (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[method]outgoing-body.write" (func $body_write (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[static]outgoing-body.finish" (func $body_finish (param i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[static]response-outparam.set"
    (func $set (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
  (import "wasi:http/types@0.2.0" "[method]incoming-request.consume" (func $consume (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[method]incoming-body.stream" (func $body_stream (param i32 i32)))
  (import "wasi:http/types@0.2.0" "[resource-drop]outgoing-body" (func $drop_body (param i32)))
  (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop_stream (param i32)))
  (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush"
    (func $stream_write (param i32 i32 i32 i32)))
  (import "wasi:io/streams@0.2.0" "[method]input-stream.blocking-read" (func $stream_read (param i32 i64 i32)))
  (memory (export "memory") 2)
  (data (i32.const 1024) "hello")
  (global $request (mut i32) (i32.const 0))
  (global $out (mut i32) (i32.const 0))
  (global $body (mut i32) (i32.const 0))
  (global $stream (mut i32) (i32.const 0))
  (global $input (mut i32) (i32.const -1))
  (global $piece (mut i32) (i32.const 0))
  (global $passed (mut i64) (i64.const 0))
  ;; Pieces that are read lie one over the other: no test needs two.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 65536))
  (func $ok (param $place i32) (if (i32.load8_u (local.get $place)) (then unreachable)))
  (func $answer
    (local $response i32)
    (local.set $response (call $response (call $fields)))
    (call $response_body (local.get $response) (i32.const 0))
    (call $ok (i32.const 0))
    (global.set $body (i32.load (i32.const 4)))
    (call $set (global.get $out) (i32.const 0) (local.get $response)
      (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $body_write (global.get $body) (i32.const 0))
    (call $ok (i32.const 0))
    (global.set $stream (i32.load (i32.const 4))))
  (func $write (param $address i32) (param $length i32)
    (call $stream_write (global.get $stream) (local.get $address) (local.get $length) (i32.const 0))
    (call $ok (i32.const 0)))
  (func $finish
    (call $drop_stream (global.get $stream))
    (call $body_finish (global.get $body) (i32.const 0) (i32.const 0) (i32.const 0))
    (call $ok (i32.const 0)))
  (func $read (result i32)
    (if (i32.eq (global.get $input) (i32.const -1)) (then
      (call $consume (global.get $request) (i32.const 0))
      (call $ok (i32.const 0))
      (call $body_stream (i32.load (i32.const 4)) (i32.const 0))
      (call $ok (i32.const 0))
      (global.set $input (i32.load (i32.const 4)))))
    (call $stream_read (global.get $input) (i64.const 4096) (i32.const 0))
    (if (i32.load8_u (i32.const 0)) (then (return (i32.const 0))))
    (global.set $piece (i32.load (i32.const 4)))
    (i32.load (i32.const 8)))
  (func (export "wasi:http/incoming-handler@0.2.0#handle") (param i32 i32)
    (local $count i32)
    (global.set $request (local.get 0))
    (global.set $out (local.get 1))
    {handle}))"#
        ),
    )
}

/// Nothing to call.
pub struct Nowhere;

impl Sidecar for Nowhere {}

/// Settings with a log that is kept.
pub fn settings(sidecar: Arc<dyn Sidecar>, limits: Limits) -> (ComponentSettings, Arc<Lines>) {
    let log = Lines::new();
    let settings =
        ComponentSettings { limits, environment: Vec::new(), config: Arc::default(), sidecar, log: log.clone() };
    (settings, log)
}

/// A function from the statements of its handler.
pub async fn function(engine: &Engine, handle: &str, limits: Limits) -> (Component, Arc<Lines>) {
    let module = engine.module("test", http_guest(handle)).await.expect("a component");
    let (settings, log) = settings(Arc::new(Nowhere), limits);
    (Component::new(engine, &module, settings).expect("a function"), log)
}

/// Asks with a body.
pub async fn ask(function: &Component, body: Body) -> Result<Response<Body>, Error> {
    let request = Request::post("/").body(body).expect("a request");
    function.handle_http(&Caller::new("test"), request).await
}

/// The whole body as text.
pub async fn text(response: Response<Body>) -> String {
    let body = response.into_body().collect().await.unwrap_or_else(|error| panic!("{error}"));
    String::from_utf8(body.to_bytes().to_vec()).expect("text")
}
