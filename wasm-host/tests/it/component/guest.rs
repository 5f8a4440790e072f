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
    let module = include_str!("../../guests/http.wat").replace(";; HANDLE", handle);
    component("import wasi:http/types@0.2.0; export wasi:http/incoming-handler@0.2.0;", &module)
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
