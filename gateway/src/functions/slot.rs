//! One function: its manifest, the module that serves now, and what became of it.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use tokio::task::AbortHandle;

use super::lines::Lines;
use crate::config::function::Function as Manifest;

/// A module that is ready.
pub struct Live {
    pub function: Arc<dyn wasm_host::Function>,
    /// SHA-256 of the module, in hexadecimal.
    pub digest: String,
    /// What the module itself says it is called.
    pub id: Option<String>,
    pub since: SystemTime,
    /// Counts the modules that this function has had.
    pub version: u64,
    /// Its timers and queues, which end with it.
    pub background: Option<AbortHandle>,
}

impl Drop for Live {
    fn drop(&mut self) {
        if let Some(background) = &self.background {
            background.abort();
        }
    }
}

/// A function.
pub struct Slot {
    manifest: Manifest,
    /// Shared with the calls that the function makes.
    pub shared_name: Arc<str>,
    live: ArcSwapOption<Live>,
    /// The one before, to go back to.
    previous: ArcSwapOption<Live>,
    /// Why the latest module is not the one that serves.
    error: Mutex<Option<String>>,
    pub stats: Stats,
    versions: AtomicU64,
    /// Who has installed it, when somebody has who cares: `GROUP/ID`.
    pub owner: Option<String>,
    /// What its guests write.
    pub lines: Lines,
}

/// What calls came to.
#[derive(Default)]
pub struct Stats {
    pub calls: AtomicU64,
    pub failures: AtomicU64,
    pub traps: AtomicU64,
    pub denied: AtomicU64,
    pub under_way: AtomicUsize,
}

impl Slot {
    pub fn new(manifest: Manifest, owner: Option<String>) -> Self {
        Self {
            shared_name: manifest.name.as_str().into(),
            manifest,
            live: ArcSwapOption::empty(),
            previous: ArcSwapOption::empty(),
            error: Mutex::default(),
            stats: Stats::default(),
            versions: AtomicU64::new(0),
            // Who owns a function follows it.
            lines: Lines::new(owner.is_some()),
            owner,
        }
    }

    /// The same function by another manifest: it has had its modules before.
    pub fn successor(&self, manifest: Manifest, owner: Option<String>) -> Self {
        let mut next = Self::new(manifest, owner);
        // Who follows the lines of what is its own does not follow somebody else's.
        if next.owner == self.owner {
            next.lines = self.lines.clone();
        }
        next.versions.store(self.versions.load(Ordering::Relaxed), Ordering::Relaxed);
        next.previous.store(self.live.load_full());
        next
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The module that serves; `None` until there is one.
    pub fn live(&self) -> Option<Arc<Live>> {
        self.live.load_full()
    }

    /// The ids under which Layotto's callers know the function.
    pub fn ids(&self) -> Vec<String> {
        let own = self.live().and_then(|live| live.id.clone());
        let own = self.manifest.handler.clone().or(own).unwrap_or_else(|| self.manifest.name.clone());
        let mut ids = vec![own];
        ids.extend(self.manifest.triggers.ids.iter().cloned());
        ids
    }

    /// A number for a module that is about to be put here.
    pub fn next_version(&self) -> u64 {
        self.versions.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Calls from now on are the new module's; those under way end on the one that they began with.
    pub fn put(&self, live: Live) {
        if let Some(old) = self.live.swap(Some(Arc::new(live))) {
            self.previous.store(Some(old));
        }
        *self.lock() = None;
    }

    /// Goes back to the module before; false without one.
    pub fn roll_back(&self) -> bool {
        let Some(previous) = self.previous.swap(None) else { return false };
        self.previous.store(self.live.swap(Some(previous)));
        *self.lock() = None;
        true
    }

    /// The latest module does not serve, for this reason.
    pub fn failed(&self, reason: String) {
        *self.lock() = Some(reason);
    }

    pub fn error(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Lets go of the modules.
    pub fn close(&self) {
        self.live.store(None);
        self.previous.store(None);
        self.failed("it was removed".into());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
