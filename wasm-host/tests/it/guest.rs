//! Modules from text, and the engine to run them.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use wasm_host::log::{Level, Log};
use wasm_host::{Engine, Module, Settings};

/// A small engine of its own for each test.
pub fn engine() -> Engine {
    Engine::new(Settings { instances: 20, ..Settings::default() }).expect("an engine")
}

/// Bytes of a module from its text.
pub fn wasm(text: &str) -> Bytes {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}")).into()
}

/// A compiled module from its text.
pub async fn module(engine: &Engine, text: &str) -> Module {
    engine.module("test", wasm(text)).await.unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// Keeps what guests log.
#[derive(Default)]
pub struct Lines(Mutex<Vec<(Level, String)>>);

impl Lines {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// What was logged, which is then empty.
    pub fn take(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *self.0.lock().expect("no test panics with it"))
    }
}

impl Log for Lines {
    fn is_enabled(&self, level: Level) -> bool {
        level > Level::Trace
    }

    fn write(&self, level: Level, line: &str) {
        self.0.lock().expect("no test panics with it").push((level, line.to_owned()));
    }
}
