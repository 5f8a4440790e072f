//! From a manifest to a module that is ready: fetch, pin, compile, start one guest with the real configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use wasm_host::abi::component::{Component, ComponentSettings};
use wasm_host::abi::proxy_wasm::{ProxyFunction, ProxySettings, ProxyWasm, Reach};
use wasm_host::digest::sha256;
use wasm_host::sidecar::{Granted, Sidecar};
use wasm_host::source::Source;
use wasm_host::{Engine, Error, Kind, Limits, Module, PoolSettings};

use super::bounded::Bounded;
use super::log::FunctionLog;
use super::slot::{Live, Slot};
use super::{Functions, SCOPE};
use crate::config::function::Function as Manifest;
use crate::guest::Watched;

/// A guest that nobody has called for this long makes room.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Between a failure of a function's own timers and the next try.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the module of a function ready. The one that serves is not touched.
///
/// # Errors
/// The module cannot be had, is another than the pinned one, cannot be compiled or linked, or its guest does not start.
pub(super) async fn build(functions: &Functions, slot: &Arc<Slot>) -> Result<Live, Error> {
    let module = &slot.manifest().module;
    let known = functions.latest().as_ref().and_then(|latest| latest.of(module));
    let fetched = match known {
        Some(fetched) => fetched,
        None => {
            let fetched = Fetched::new(Source::parse(module)?.bytes().await?);
            if let Some(latest) = functions.latest().as_mut() {
                latest.put(module, fetched.clone());
            }
            fetched
        }
    };
    build_from(functions, slot, fetched).await
}

/// A module's bytes with their SHA-256, in hexadecimal.
#[derive(Clone)]
pub(super) struct Fetched {
    pub bytes: Bytes,
    pub digest: String,
}

impl Fetched {
    pub fn new(bytes: Bytes) -> Self {
        let digest = hex::encode(sha256(&bytes));
        Self { bytes, digest }
    }
}

/// The module that was fetched last: functions that stand beside each other are often one module.
#[derive(Default)]
pub(super) struct Latest(Option<(String, Fetched)>);

impl Latest {
    /// The module of this place, if it is the one.
    pub fn of(&self, place: &str) -> Option<Fetched> {
        self.0.as_ref().filter(|(known, _)| known == place).map(|(_, fetched)| fetched.clone())
    }

    pub fn put(&mut self, place: &str, fetched: Fetched) {
        self.0 = Some((place.to_owned(), fetched));
    }
}

/// The same for bytes at hand.
pub(super) async fn build_from(functions: &Functions, slot: &Arc<Slot>, fetched: Fetched) -> Result<Live, Error> {
    let Fetched { bytes, digest } = fetched;
    let inner = &functions.0;
    let manifest = slot.manifest();
    manifest.pins.check(&manifest.name, &bytes)?;
    let engine = if manifest.limits.fuel.is_some() { &inner.counting } else { &inner.engine };
    let engine = engine.get()?;
    let module = engine.module(&manifest.name, bytes).await?;
    let function = start(functions, slot, &engine, module).await?;
    let id = function.id().await?;
    // It has shown that it starts; thousands of functions that nobody calls must not keep a guest each.
    function.trim(Duration::ZERO);
    let background = background(manifest.name.clone(), function.clone());
    let version = slot.next_version();
    Ok(Live { function, digest, id, since: SystemTime::now(), version, background })
}

/// The function of a module, by its kind.
async fn start(
    functions: &Functions,
    slot: &Arc<Slot>,
    engine: &Engine,
    module: Module,
) -> Result<Arc<dyn wasm_host::Function>, Error> {
    let manifest = slot.manifest();
    match module.kind() {
        Some(Kind::ProxyWasm) => {
            let settings = proxy_settings(functions, slot)?;
            let plugin = ProxyWasm::new(engine, module, settings).await?;
            Ok(Arc::new(ProxyFunction::new(plugin, manifest.limits.body, manifest.limits.timeout)))
        }
        Some(Kind::Component) => {
            let settings = ComponentSettings {
                limits: limits(manifest),
                environment: manifest.environment.clone().into_iter().collect(),
                config: Arc::new(manifest.values.clone()),
                sidecar: sidecar(functions, slot)?,
                log: Arc::new(FunctionLog::of(slot)),
            };
            Ok(Arc::new(Bounded::new(Component::new(engine, &module, settings)?, manifest)))
        }
        other => {
            let what = other.map_or("exports nothing that tells its kind", Kind::guests);
            let is = if other.is_some() { "is one of the " } else { "" };
            let reason = format!(
                "the module {is}{what}: the function {} needs a proxy-wasm guest or a component",
                manifest.name
            );
            Err(Error::Contract { guest: manifest.name.clone(), reason })
        }
    }
}

/// What guests of a function can ask for: what it was granted, and counted where it was not.
fn sidecar(functions: &Functions, slot: &Arc<Slot>) -> Result<Arc<dyn Sidecar>, Error> {
    let sidecar = functions.0.sidecar.get().cloned();
    let sidecar = sidecar.ok_or_else(|| Error::Engine("nothing answers what functions ask for".into()))?;
    let granted = Granted { grants: slot.manifest().grants.clone(), sidecar };
    let (slot, functions) = (Arc::downgrade(slot), functions.downgrade());
    Ok(Arc::new(Watched { sidecar: Arc::new(granted), slot, functions }))
}

fn limits(manifest: &Manifest) -> Limits {
    let limits = &manifest.limits;
    Limits { memory: limits.memory, time: limits.time, fuel: limits.fuel, ..Limits::default() }
}

fn pool(manifest: &Manifest) -> PoolSettings {
    let instances = &manifest.instances;
    PoolSettings {
        size: instances.max,
        patience: instances.wait,
        idle: IDLE,
        least: instances.min,
        calls: instances.calls,
        growth: instances.growth,
        setting: "instances.max",
    }
}

fn proxy_settings(functions: &Functions, slot: &Arc<Slot>) -> Result<ProxySettings, Error> {
    let (manifest, shared) = (slot.manifest(), functions.shared());
    let reach = Reach {
        sidecar: sidecar(functions, slot)?,
        grants: manifest.grants.clone(),
        properties: BTreeMap::from([
            ("dapr.app_id".to_owned(), shared.app_id.to_string()),
            ("dapr.namespace".to_owned(), shared.namespace.to_string()),
        ]),
        body_limit: manifest.limits.body,
    };
    Ok(ProxySettings {
        plugin: manifest.name.clone(),
        vm_id: manifest.vm.id.clone(),
        root_id: manifest.vm.root_id.clone(),
        vm_configuration: manifest.vm.configuration.clone(),
        plugin_configuration: manifest.configuration.clone(),
        environment: manifest.environment.clone().into_iter().collect(),
        limits: limits(manifest),
        pool: pool(manifest),
        host: Arc::new(reach),
        services: functions.0.services.clone(),
        log: Arc::new(FunctionLog::of(slot)),
        body_limit: manifest.limits.body,
    })
}

/// The function's timers and queues, as long as it has any.
fn background(name: String, function: Arc<dyn wasm_host::Function>) -> Option<tokio::task::AbortHandle> {
    let function = Arc::downgrade(&function);
    let task = tokio::spawn(async move {
        while let Some(function) = function.upgrade() {
            match function.run().await {
                Ok(()) => break,
                Err(error) => tracing::error!(target: SCOPE, "The timers of the function {name} have failed: {error}"),
            }
            drop(function);
            tokio::time::sleep(PAUSE).await;
        }
    });
    Some(task.abort_handle())
}
