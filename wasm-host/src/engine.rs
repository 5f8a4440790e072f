//! The engine: one a process, shared by all guests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;
use wasmtime::component::Component;
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::cache::Cache;
use crate::digest::{Digest, sha256};
use crate::error::{Error, Result};
use crate::kind::{Layer, check_header};
use crate::module::{Code, Compiled, Module};
use crate::settings::{LARGEST_MEMORY, Settings};
use crate::ticker::{Running, Ticker};
use crate::turns::Turns;

/// Memory that a freed slot of the pool keeps, so that the next guest there does not begin with page faults.
const KEPT: usize = 128 << 10;

/// Core instances that a component is made of: its module, what adapts preview 1, and two that tie them together.
const PARTS: u32 = 4;

/// Compiles modules and runs guests. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasm: wasmtime::Engine,
    ticker: Ticker,
    /// Whose turn it is among guests that compute for long.
    turns: Turns,
    settings: Settings,
    cache: Option<Cache>,
    /// One compilation at a time: it takes a core, and the gateway has other work.
    compiling: Semaphore,
    /// What is compiled and in use, so that two components with one module share its code.
    modules: Mutex<HashMap<Digest, Weak<Code>>>,
}

impl Engine {
    /// # Errors
    /// [`Error::Engine`]: this machine cannot run guests, or the cache's folder cannot be used.
    pub fn new(settings: Settings) -> Result<Self> {
        let failed = |error: wasmtime::Error| Error::Engine(format!("{error:#}"));
        let wasm = match wasmtime::Engine::new(&config(&settings, settings.pooling)) {
            Err(error) if settings.pooling => {
                tracing::warn!(
                    "No pool for {} WebAssembly guests ({error:#}): guests start more slowly",
                    settings.instances
                );
                wasmtime::Engine::new(&config(&settings, false)).map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        let cache = settings.cache.as_deref().map(|folder| Cache::open(folder, &wasm)).transpose()?;
        let turns = Turns::default();
        let (weak, next) = (wasm.weak(), turns.clone());
        let ticker = Ticker::start(settings.tick, move || {
            if let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
            }
            next.tick();
        });
        let ticker = ticker.map_err(|error| Error::Engine(format!("no thread for its clock: {error}")))?;
        let (compiling, modules) = (Semaphore::new(1), Mutex::default());
        Ok(Self(Arc::new(Inner { wasm, ticker, turns, settings, cache, compiling, modules })))
    }

    /// Compiles a module or a component, or takes it from the cache; off the caller's thread.
    ///
    /// # Errors
    /// [`Error::Compile`]; its text begins as daprd's where it has one.
    pub async fn module(&self, name: &str, bytes: impl Into<bytes::Bytes>) -> Result<Module> {
        let bytes = bytes.into();
        let layer = check_header(name, &bytes)?;
        let failed = |reason: String| Error::Compile { guest: name.to_owned(), reason };
        let _turn = self.0.compiling.acquire().await.map_err(|error| failed(error.to_string()))?;
        let inner = self.0.clone();
        let task = tokio::task::spawn_blocking(move || inner.compiled(layer, &bytes));
        let compiled = task.await.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
        Ok(Module::new(name, compiled))
    }

    /// Guests that are alive now, where the pool counts them; each part of a component counts.
    pub fn live_guests(&self) -> Option<u64> {
        self.0.wasm.pooling_allocator_metrics().map(|metrics| metrics.core_instances())
    }

    pub(crate) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.0.turns
    }

    pub(crate) fn running(&self) -> Running {
        self.0.ticker.running()
    }
}

impl Inner {
    fn compiled(&self, layer: Layer, bytes: &[u8]) -> Result<Arc<Code>, String> {
        let digest = sha256(bytes);
        let modules = || self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules().get(&digest).and_then(Weak::upgrade) {
            return Ok(module);
        }
        let kept = self.cache.as_ref().and_then(|cache| cache.load(&digest));
        let compiled = match kept.and_then(|code| deserialize(&self.wasm, layer, &code)) {
            Some(compiled) => compiled,
            None => {
                let compiled = Compiled::of(&self.wasm, layer, bytes).map_err(|error| format!("{error:#}"))?;
                if let Some(cache) = &self.cache {
                    match compiled.serialize() {
                        Ok(code) => cache.store(&digest, &code),
                        Err(error) => tracing::warn!("A compiled module cannot be kept: {error:#}"),
                    }
                }
                compiled
            }
        };
        let module = Arc::new(Code::from(compiled));
        let mut modules = modules();
        modules.retain(|_, module| module.strong_count() > 0);
        modules.insert(digest, Arc::downgrade(&module));
        Ok(module)
    }
}

impl Compiled {
    fn of(engine: &wasmtime::Engine, layer: Layer, bytes: &[u8]) -> wasmtime::Result<Self> {
        Ok(match layer {
            Layer::Module => Self::Module(wasmtime::Module::from_binary(engine, bytes)?),
            Layer::Component => Self::Component(Component::from_binary(engine, bytes)?),
        })
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Module(module) => module.serialize(),
            Self::Component(component) => component.serialize(),
        }
    }
}

fn deserialize(engine: &wasmtime::Engine, layer: Layer, code: &[u8]) -> Option<Compiled> {
    // SAFETY: the bytes are the output of `Compiled::serialize`: the cache gives only what it has signed itself with a key
    // that no other user can read, and for an engine of the same settings. A module in place of a component is refused.
    let found = match layer {
        Layer::Module => unsafe { wasmtime::Module::deserialize(engine, code) }.map(Compiled::Module),
        Layer::Component => unsafe { Component::deserialize(engine, code) }.map(Compiled::Component),
    };
    match found {
        Ok(module) => Some(module),
        Err(error) => {
            tracing::warn!("A kept module cannot be used and is compiled again: {error:#}");
            None
        }
    }
}

fn config(settings: &Settings, pooling: bool) -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).consume_fuel(settings.fuel);
    // Only components of WASI 0.3 would use it.
    config.concurrency_support(false);
    config.wasm_memory64(false);
    if pooling {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_core_instances(settings.instances.saturating_mul(PARTS))
            .total_component_instances(settings.instances)
            .total_memories(settings.instances)
            .total_tables(settings.instances.saturating_mul(2))
            .total_stacks(settings.instances)
            .max_memory_size(LARGEST_MEMORY)
            .max_tables_per_module(16)
            .table_elements(20_000)
            .linear_memory_keep_resident(KEPT)
            .table_keep_resident(KEPT)
            .decommit_batch_size(16);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    config
}
