//! A module as it comes from outside: what it is, what it wants, and what it does within small limits.
//!
//! An input is a module or a component in the binary format, or in the text format (it begins with `(`).

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use http_body_util::BodyExt;
use wasm_host::abi::command::{Command, Run};
use wasm_host::abi::component::{Component, ComponentSettings};
use wasm_host::abi::http_wasm::{HttpSettings, HttpWasm};
use wasm_host::abi::proxy_wasm::{NoHost, ProxyFunction, ProxySettings, ProxyWasm, Services};
use wasm_host::body::Body;
use wasm_host::function::Message;
use wasm_host::inspect::Inspection;
use wasm_host::log::{Level, Log};
use wasm_host::sidecar::{Caller, Sidecar};
use wasm_host::{Engine, Function, Kind, Limits, Module, PoolSettings, Settings};

/// The most time for one input, all of its callbacks together.
const PATIENCE: Duration = Duration::from_secs(10);
/// What one call of a guest may take, waiting included.
const CALL: Duration = Duration::from_millis(200);
/// Bytes of a body.
const BODY: usize = 1 << 16;
const LIMITS: Limits =
    Limits { memory: 2 << 20, table_elements: 1000, time: Duration::from_millis(10), wall: Some(CALL), fuel: None };

/// An engine that runs one input after the other.
pub struct Host {
    threads: tokio::runtime::Runtime,
    engine: Engine,
}

impl Host {
    /// # Panics
    ///
    /// This machine cannot run guests.
    pub fn start() -> Self {
        let threads = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let engine = Engine::new(Settings { instances: 20, ..Settings::default() }).expect("an engine");
        Self { threads, engine }
    }

    /// Loads `input` as every kind of guest that it may be, and calls it.
    ///
    /// # Panics
    ///
    /// It takes too long, or leaves guests behind.
    pub fn check(&self, input: &[u8]) {
        let bytes = match input.first() {
            Some(b'(') => match std::str::from_utf8(input).ok().and_then(|text| wat::parse_str(text).ok()) {
                Some(bytes) => bytes,
                None => return,
            },
            _ => input.to_vec(),
        };
        let begin = Instant::now();
        self.threads.block_on(async {
            // An error says what is wrong with the module.
            if let Ok(module) = self.engine.module("fuzz", bytes).await {
                let _ = Inspection::of(&self.engine, &module);
                module.handlers();
                self.call(module).await;
            }
            // The task that compiles holds nothing any more.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
        });
        assert!(begin.elapsed() < PATIENCE, "it took {:?}", begin.elapsed());
        assert_eq!(self.engine.live_guests(), Some(0), "guests that nobody has are alive");
    }

    async fn call(&self, module: Module) {
        let caller = Caller::new("fuzz");
        match module.kind() {
            Some(Kind::Command) => {
                if let Ok(command) = Command::new(&self.engine, module, LIMITS, true) {
                    let run = Run { arguments: vec!["one".to_owned()], input: "input".into() };
                    let _ = command.run(run).await;
                }
            }
            Some(Kind::HttpWasm) => {
                if let Ok(handler) = HttpWasm::new(&self.engine, module, http_settings()).await {
                    let next = async |request: Request<Body>| Response::new(request.into_body());
                    if let Ok(response) = handler.handle(request(), "127.0.0.1:1".to_owned(), next).await {
                        let _ = response.into_body().collect().await;
                    }
                }
            }
            Some(Kind::ProxyWasm) => {
                if let Ok(plugin) = ProxyWasm::new(&self.engine, module, proxy_settings()).await {
                    let function = ProxyFunction::new(plugin, BODY, CALL);
                    let _ = function.id().await;
                    let _ = tokio::time::timeout(CALL, function.run()).await;
                    let _ = function.handle_http(&caller, request()).await;
                    let _ = function.handle_http(&caller, request()).await;
                }
            }
            Some(Kind::Component) => {
                if let Ok(function) = Component::new(&self.engine, &module, component_settings()) {
                    let answer = tokio::time::timeout(CALL, function.handle_http(&caller, request())).await;
                    if let Ok(Ok(response)) = answer {
                        let _ = tokio::time::timeout(CALL, response.into_body().collect()).await;
                    }
                    let _ = tokio::time::timeout(CALL, function.handle_event(&caller, message())).await;
                }
            }
            None => {}
        }
    }
}

fn request() -> Request<Body> {
    let request = Request::post("/path?query=1").header("x-header", "value").header("host", "localhost");
    request.body(Body::full("body")).expect("a request")
}

fn message() -> Message {
    let (pubsub, topic, path) = ("bus".to_owned(), "topic".to_owned(), "/topic".to_owned());
    Message { pubsub, topic, path, envelope: r#"{"specversion":"1.0","id":"1","data":"text"}"#.into() }
}

fn http_settings() -> HttpSettings {
    let (config, pool) = ("config".into(), PoolSettings::default());
    HttpSettings { config, is_strict: true, limits: LIMITS, pool, body_limit: BODY, log: Arc::new(Quiet) }
}

fn proxy_settings() -> ProxySettings {
    ProxySettings {
        plugin: "fuzz".to_owned(),
        vm_id: "vm".to_owned(),
        root_id: "root".to_owned(),
        vm_configuration: "vm".into(),
        plugin_configuration: "plugin".into(),
        environment: vec![("NAME".to_owned(), "value".to_owned())],
        limits: LIMITS,
        pool: PoolSettings { size: 2, patience: CALL, ..PoolSettings::default() },
        host: Arc::new(NoHost),
        services: Services::default(),
        log: Arc::new(Quiet),
        body_limit: BODY,
    }
}

fn component_settings() -> ComponentSettings {
    let (environment, config) = (Vec::new(), Arc::default());
    ComponentSettings { limits: LIMITS, environment, config, sidecar: Arc::new(Nowhere), log: Arc::new(Quiet) }
}

/// Takes every line and keeps none.
struct Quiet;

impl Log for Quiet {
    fn is_enabled(&self, _: Level) -> bool {
        true
    }

    fn write(&self, _: Level, _: &str) {}
}

/// Nothing to call.
struct Nowhere;

impl Sidecar for Nowhere {}
