//! Functions: WebAssembly modules that answer requests, take messages and run on a schedule, in this process.
//!
//! [`Functions`] holds them. A [`slot::Slot`] is one function: what its manifest says, the module that serves now, what
//! became of it. [`build`] makes a module ready, [`watch`] replaces it when its file changes; [`table`] knows who is
//! meant by an id, a path, a name; [`call`] is one call, whatever has caused it: a request ([`front`]), a message
//! ([`topic`]), a schedule ([`schedule`]), another function. What functions reach is answered by [`crate::guest`].

pub mod admin;
mod bounded;
mod build;
pub mod call;
pub mod front;
mod install;
mod lines;
mod log;
pub mod modules;
mod named;
mod schedule;
pub mod slot;
pub mod store;
pub mod table;
mod topic;
mod triggers;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;
use wasm_host::SharedEngine;
use wasm_host::abi::proxy_wasm::Services;
use wasm_host::sidecar::Sidecar;

use crate::blocks::Shared;
use crate::config::function::Function;
use crate::config::function::service::Aggregation;
use crate::inbound::Inbound;
use build::Latest;
pub use install::{Installed, Refused};
use slot::Slot;
use table::Table;
use triggers::Running;

/// Log scope of functions.
pub(crate) const SCOPE: &str = "ottavo.functions";

/// While many functions are made ready, those that are can be called after this time.
const INDEXING: Duration = Duration::from_millis(250);

/// How many functions may have called each other.
pub const DEEPEST: u32 = 16;

/// All functions of this process. Cheap to clone.
#[derive(Clone)]
pub struct Functions(Arc<Inner>);

pub(crate) struct Inner {
    /// What a reload exchanges: metrics, tracing, components.
    shared: ArcSwap<Shared>,
    engine: SharedEngine,
    /// Counts instructions, which makes all its guests slower: for functions that limit their fuel alone.
    counting: SharedEngine,
    /// Answers what functions ask for; set once, before any of them is built.
    sidecar: OnceLock<Arc<dyn Sidecar>>,
    /// Data, queues and metrics of proxy-wasm guests, which outlive a module.
    services: Services,
    /// The module that was fetched last, while many functions are made ready.
    latest: Mutex<Option<Latest>>,
    table: ArcSwap<Table>,
    /// Held by whoever changes the set of functions.
    changing: tokio::sync::Mutex<Changing>,
    closing: CancellationToken,
}

/// What only changes of the set look at.
#[derive(Default)]
pub(crate) struct Changing {
    slots: BTreeMap<String, Arc<Slot>>,
    /// Those that no manifest declares: a reload leaves them alone.
    installed: BTreeSet<String>,
    aggregations: Vec<Aggregation>,
    /// Where messages come from, once they may come.
    inbound: Option<Inbound>,
    running: BTreeMap<String, Running>,
    watcher: Option<tokio::task::JoinHandle<()>>,
}

impl Functions {
    /// No functions yet. Nothing is made before there are some.
    pub fn new(shared: Shared, engine: SharedEngine, counting: SharedEngine) -> Self {
        Self(Arc::new(Inner {
            shared: ArcSwap::from_pointee(shared),
            engine,
            counting,
            sidecar: OnceLock::new(),
            services: Services::default(),
            latest: Mutex::default(),
            table: ArcSwap::default(),
            changing: tokio::sync::Mutex::default(),
            closing: CancellationToken::new(),
        }))
    }

    /// Who answers what functions ask for.
    pub fn set_sidecar(&self, sidecar: Arc<dyn Sidecar>) {
        // A second one would be for the same process.
        let _ = self.0.sidecar.set(sidecar);
    }

    /// What calls are measured and traced by from now on.
    pub fn set_shared(&self, shared: Shared) {
        self.0.shared.store(Arc::new(shared));
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.table.load().is_empty()
    }

    /// Makes the functions those that are given. Unchanged ones go on as they are; of changed ones the old form serves
    /// until the new one can. A module that cannot be had yet is waited for.
    pub async fn set(&self, functions: Vec<Function>, aggregations: Vec<Aggregation>) {
        let mut changing = self.0.changing.lock().await;
        let wanted: BTreeSet<&str> = functions.iter().map(|function| function.name.as_str()).collect();
        let is_kept = |name: &&String| wanted.contains(name.as_str()) || changing.installed.contains(*name);
        let gone: Vec<String> = changing.slots.keys().filter(|name| !is_kept(name)).cloned().collect();
        self.remove_all(&mut changing, gone).await;
        changing.aggregations = aggregations;
        // One after the other: modules are compiled one at a time, and each compilation has all processors' attention.
        let mut indexed = Instant::now();
        self.latest().replace(Latest::default());
        for function in functions {
            if changing.slots.get(&function.name).is_some_and(|slot| *slot.manifest() == function) {
                continue;
            }
            self.put(&mut changing, function, None).await;
            // Who is ready need not wait for all the others; but the table is made whole each time.
            if indexed.elapsed() > INDEXING {
                self.index(&changing);
                indexed = Instant::now();
            }
        }
        self.latest().take();
        self.index(&changing);
        self.watch(&mut changing);
    }

    /// Goes back to the module before; false without one.
    pub async fn roll_back(&self, slot: &Slot) -> bool {
        let changing = self.0.changing.lock().await;
        let is_done = slot.roll_back();
        if is_done {
            self.index(&changing);
            let version = slot.live().map_or(0, |live| live.version);
            tracing::info!(target: SCOPE, "Function {} is back at its module of version {version}", slot.name());
        }
        is_done
    }

    /// Adds a function, or gives the one of this name another form. It is found when [`Functions::index`] has been called.
    async fn put(&self, changing: &mut Changing, function: Function, owner: Option<String>) {
        let name = function.name.clone();
        let old = changing.slots.get(&name).cloned();
        let slot = match &old {
            Some(old) => old.successor(function, owner),
            None => Slot::new(function, owner),
        };
        let slot = Arc::new(slot);
        match self.load(&slot).await {
            Ok(()) => tracing::info!(target: SCOPE, "Function loaded: {name} ({})", slot.manifest().module),
            Err(error) if old.as_ref().is_some_and(|old| old.live().is_some()) => {
                tracing::error!(target: SCOPE, "Function {name} stays as it was: {error}");
                if let Some(old) = &old {
                    old.failed(error);
                }
                return;
            }
            Err(error) => {
                tracing::error!(target: SCOPE, "Function {name} cannot be called until its module is there: {error}");
                slot.failed(error);
            }
        }
        changing.slots.insert(name, slot.clone());
        if changing.inbound.is_some() {
            // A message may come as soon as there is a subscription.
            self.index(changing);
        }
        self.trigger(changing, &slot).await;
    }

    async fn remove_all(&self, changing: &mut Changing, names: Vec<String>) {
        let gone: Vec<_> = names.iter().filter_map(|name| changing.slots.remove(name)).collect();
        self.index(changing);
        for slot in gone {
            self.untrigger(changing, slot.name()).await;
            slot.close();
            tracing::info!(target: SCOPE, "Function removed: {}", slot.name());
        }
    }

    /// Makes a function's module ready and puts it in the place of the one before.
    async fn load(&self, slot: &Arc<Slot>) -> Result<(), String> {
        let live = build::build(self, slot).await.map_err(|error| error.to_string())?;
        slot.put(live);
        Ok(())
    }

    /// Rebuilds what finds functions.
    fn index(&self, changing: &Changing) {
        let table = Table::new(changing.slots.values().cloned(), &changing.aggregations);
        self.0.table.store(Arc::new(table));
    }

    /// Ends what runs by itself, and all functions.
    pub async fn close(&self) {
        self.0.closing.cancel();
        let mut changing = self.0.changing.lock().await;
        let names = changing.slots.keys().cloned().collect();
        self.remove_all(&mut changing, names).await;
        if let Some(watcher) = changing.watcher.take() {
            watcher.abort();
        }
    }

    fn latest(&self) -> MutexGuard<'_, Option<Latest>> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn table(&self) -> Arc<Table> {
        self.0.table.load_full()
    }

    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.0.shared.load_full()
    }

    pub(crate) fn downgrade(&self) -> std::sync::Weak<Inner> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn upgrade(weak: &std::sync::Weak<Inner>) -> Option<Self> {
        weak.upgrade().map(Self)
    }
}
