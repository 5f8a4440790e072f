//! F1: what a call costs in this process, without HTTP around it; time on the clock, and instructions (valgrind).

use std::process::Command as Program;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use http::Request;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use wasm_host::abi::command::{Command, Run};
use wasm_host::abi::component::{Component, ComponentSettings};
use wasm_host::abi::proxy_wasm::{Direction, NoHost, ProxySettings, ProxyWasm, Services};
use wasm_host::body::Body;
use wasm_host::log::{Level, Log};
use wasm_host::sidecar::{Caller, Sidecar};
use wasm_host::{Engine, Function as _, Limits, PoolSettings, Settings};

use crate::bench::report::Function;
use crate::bench::statistics::median;
use crate::guests;

/// Calls of a batch, and batches of which the median counts.
const BATCH: u32 = 500;
const BATCHES: usize = 60;
/// Calls under valgrind: so many, and twice as many.
const COUNTED: u32 = 1000;
/// Guests that may live at once: enough here, and little enough address space for valgrind.
const INSTANCES: u32 = 4;

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Call {
    /// A stream through a living proxy-wasm guest, which reads a header.
    Warm,
    /// A WASI command: made, run, dropped.
    Command,
    /// A `wasi:http` component: made, asked, its answer read, dropped.
    Component,
}

impl Call {
    const ALL: [Self; 3] = [Self::Warm, Self::Command, Self::Component];

    fn name(self) -> &'static str {
        match self {
            Self::Warm => "F1 warm call of a proxy-wasm filter",
            Self::Command => "F1 call of a fresh guest, command",
            Self::Component => "F1 call of a fresh guest, component",
        }
    }

    /// Microseconds.
    fn goal(self) -> f64 {
        match self {
            Self::Warm => 5.0,
            Self::Command | Self::Component => 25.0,
        }
    }

    /// Makes so many calls.
    ///
    /// # Panics
    /// One fails.
    pub fn make(self, calls: u32) {
        let (runtime, callee) = self.ready();
        callee.call(&runtime, calls);
    }

    fn ready(self) -> (Runtime, Callee) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let callee = runtime.block_on(Callee::new(self));
        (runtime, callee)
    }
}

/// The rows that are wanted.
pub fn rows(wants: &dyn Fn(&str) -> bool) -> Vec<Function> {
    Call::ALL.into_iter().filter(|call| wants(call.name())).map(row).collect()
}

fn row(call: Call) -> Function {
    eprintln!("… {}", call.name());
    let (runtime, callee) = call.ready();
    callee.call(&runtime, BATCH);
    let each: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let begun = Instant::now();
            callee.call(&runtime, BATCH);
            begun.elapsed().as_secs_f64() * 1e6 / f64::from(BATCH)
        })
        .collect();
    let instructions = instructions(call);
    let beside = instructions.as_ref().map_or_else(Clone::clone, |count| format!("{count:.0} instructions"));
    Function {
        name: call.name().to_owned(),
        unit: "us".to_owned(),
        ours: median(&each),
        goal: Some(call.goal()),
        beside,
        details: json!({ "batches_us": each, "instructions": instructions.ok() }),
    }
}

/// Instructions of one call: this program does nothing else under valgrind, once with so many and once with twice as
/// many calls.
fn instructions(call: Call) -> Result<f64, String> {
    let counted = |calls: u32| -> Result<f64, String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let dump = folder.path().join("counted");
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let name = call.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut program = Program::new("valgrind");
        program.args(["--tool=callgrind", &format!("--callgrind-out-file={}", dump.display())]).arg(own);
        program.args(["calls", "--kind", &name, "--count", &calls.to_string()]);
        let output = program.output().map_err(|error| format!("instructions: valgrind: {error}"))?;
        let text = std::fs::read_to_string(&dump).unwrap_or_default();
        let total = text.lines().rev().find_map(|line| line.strip_prefix("totals:"));
        let total = total.and_then(|total| total.split_whitespace().next()?.parse().ok());
        total.filter(|_| output.status.success()).ok_or_else(|| {
            let errors = String::from_utf8_lossy(&output.stderr);
            format!("instructions were not counted: {}", errors.lines().last().unwrap_or_default())
        })
    };
    Ok((counted(2 * COUNTED)? - counted(COUNTED)?) / f64::from(COUNTED))
}

/// What is ready to be called.
enum Callee {
    Filter(ProxyWasm),
    Command(Command),
    Component(Component),
}

impl Callee {
    async fn new(call: Call) -> Self {
        let settings = Settings { instances: INSTANCES, ..Settings::default() };
        let engine = Engine::new(settings).expect("this machine runs guests");
        let limits = Limits { memory: 1 << 20, time: Duration::from_secs(5), ..Limits::default() };
        let bytes = match call {
            Call::Warm => filter(),
            Call::Command => wat::parse_str(COMMAND).expect("a module"),
            Call::Component => hello(),
        };
        let module = engine.module("bench", bytes).await.expect("a module");
        match call {
            Call::Warm => {
                let plugin = ProxyWasm::new(&engine, module, proxy_settings(limits)).await;
                Self::Filter(plugin.expect("a filter"))
            }
            Call::Command => Self::Command(Command::new(&engine, module, limits, false).expect("a command")),
            Call::Component => {
                let (environment, config) = (Vec::new(), Arc::default());
                let (sidecar, log) = (Arc::new(Nowhere), Arc::new(Quiet));
                let settings = ComponentSettings { limits, environment, config, sidecar, log };
                Self::Component(Component::new(&engine, &module, settings).expect("a component"))
            }
        }
    }

    fn call(&self, runtime: &Runtime, calls: u32) {
        runtime.block_on(async {
            for _ in 0..calls {
                self.once().await;
            }
        });
    }

    async fn once(&self) {
        match self {
            Self::Filter(plugin) => {
                let mut session = plugin.open().await.expect("a guest");
                let head = [(":method", "GET"), (":path", "/hello"), (":authority", "localhost"), ("x-name", "value")];
                let head = head.map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
                session.headers(Direction::Request, head.to_vec(), true).await.expect("a stream goes on");
                session.close().await.expect("a stream ends");
            }
            Self::Command(command) => {
                let outcome = command.run(Run::default()).await.expect("a guest");
                assert_eq!(outcome.end, Ok(()));
            }
            Self::Component(function) => {
                let request = Request::get("/").body(Body::full("")).expect("a request");
                let response = function.handle_http(&Caller::new("bench"), request).await.expect("an answer");
                let body = response.into_body().collect().await.expect("the whole body");
                assert_eq!(body.to_bytes(), "hello");
            }
        }
    }
}

/// Reads a header, and sees the stream's whole life.
fn filter() -> Vec<u8> {
    let read = format!("(drop (call $proxy_get_header_map_value (i32.const 0) 'x-name' {}))", guests::OUT);
    let callbacks = [
        guests::callback("proxy_on_request_headers", &read),
        guests::callback("proxy_on_done", ""),
        guests::callback("proxy_on_log", ""),
        guests::callback("proxy_on_delete", ""),
    ];
    guests::module(&callbacks.concat())
}

/// A component that answers "hello".
pub fn hello() -> Vec<u8> {
    guests::http_component("(call $answer) (call $write (i32.const 1024) (i32.const 5)) (call $finish)")
}

const COMMAND: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "hello")
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 100))
        (i32.store (i32.const 4) (i32.const 5))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

fn proxy_settings(limits: Limits) -> ProxySettings {
    ProxySettings {
        plugin: "bench".to_owned(),
        vm_id: "bench".to_owned(),
        root_id: String::new(),
        vm_configuration: "".into(),
        plugin_configuration: "".into(),
        environment: Vec::new(),
        limits,
        pool: PoolSettings::default(),
        host: Arc::new(NoHost),
        services: Services::default(),
        log: Arc::new(Quiet),
        body_limit: 1 << 20,
    }
}

/// Takes no lines.
struct Quiet;

impl Log for Quiet {
    fn is_enabled(&self, _: Level) -> bool {
        false
    }

    fn write(&self, _: Level, _: &str) {}
}

/// Nothing to call.
struct Nowhere;

impl Sidecar for Nowhere {}
