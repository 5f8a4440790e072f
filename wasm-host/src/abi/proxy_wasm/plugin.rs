//! A module with its configuration, and its living guests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wasmtime::{InstancePre, Linker};

use super::abi::{Abi, ROOT};
use super::imports;
use super::instance::Instance;
use super::root;
use super::session::Session;
use super::settings::ProxySettings;
use super::status::Version;
use super::stream::Window;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::module::Module;
use crate::pool::Pool;
use crate::sidecar::Caller;
use crate::store::State;
use crate::wasi;

/// A plugin. Its guests live on between streams.
pub struct ProxyWasm {
    engine: Engine,
    module: Module,
    version: Version,
    pre: InstancePre<State<Abi>>,
    settings: Arc<ProxySettings>,
    /// Whether a guest waits for something when it has started: ticks, queues, its own calls.
    has_work: bool,
    pool: Arc<Pool<Instance>>,
    next_stream: AtomicU32,
}

impl ProxyWasm {
    /// Checks the module and starts one guest with the real configuration, so that what cannot work fails here.
    ///
    /// # Errors
    /// [`Error::Contract`] without a known marker or an allocator, or when the guest refuses its configuration;
    /// [`Error::Link`]; and what ends the guest in its start.
    pub async fn new(engine: &Engine, module: Module, settings: ProxySettings) -> Result<Self> {
        let wasm = module.core()?;
        let version = Version::ALL.iter().rev().find(|(marker, _)| wasm.get_export(marker).is_some());
        let (_, version) = version.ok_or_else(|| Error::Contract {
            guest: module.name().to_string(),
            reason: format!("guest exports none of {}", Version::ALL.map(|(marker, _)| marker).join(", ")),
        })?;
        let pre = module.link(Kind::ProxyWasm, || {
            let mut linker = Linker::new(engine.wasm());
            wasi::add(&mut linker)?;
            imports::add(&mut linker)?;
            Ok(linker)
        })?;
        let pool = Arc::new(Pool::new(settings.pool));
        let (next_stream, settings) = (AtomicU32::new(ROOT + 1), Arc::new(settings));
        let engine = engine.clone();
        let mut plugin = Self { engine, module, version: *version, pre, settings, has_work: false, pool, next_stream };
        for _ in 0..plugin.settings.pool.least.max(1) {
            let mut guest = plugin.start().await?;
            plugin.has_work |= guest.has_work();
            plugin.pool.add(guest);
        }
        Ok(plugin)
    }

    /// A guest for the time of a stream.
    ///
    /// # Errors
    /// No guest is free ([`Error::Busy`]), or a new one fails in its start or in `proxy_on_context_create`.
    pub async fn open(&self) -> Result<Session> {
        self.begin(None).await
    }

    /// As [`ProxyWasm::open`], for a stream whose guest makes its calls as `caller`.
    ///
    /// # Errors
    /// As [`ProxyWasm::open`].
    pub async fn open_for(&self, caller: &Caller) -> Result<Session> {
        self.begin(Some(caller)).await
    }

    async fn begin(&self, caller: Option<&Caller>) -> Result<Session> {
        let taken = self.pool.take(self.module.name(), || self.start()).await?;
        let id = self
            .next_stream
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| Some(id.checked_add(1).unwrap_or(ROOT + 1)));
        Session::open(taken, id.unwrap_or(ROOT + 1), caller).await
    }

    /// What the guest says its id is (Layotto's `proxy_get_id`); `None` when it has nothing to say.
    ///
    /// # Errors
    /// As [`ProxyWasm::open`].
    pub async fn id(&self) -> Result<Option<String>> {
        if !self.has_id() {
            return Ok(None);
        }
        let mut taken = self.pool.take(self.module.name(), || self.start()).await?;
        let instance = taken.get()?;
        instance.abi().window = Window::Data(Vec::new());
        let answered = instance.call_in::<(), ()>(ROOT, "proxy_get_id", ()).await?;
        let Window::Data(id) = std::mem::take(&mut instance.abi().window) else { return Ok(None) };
        taken.give_back();
        Ok(answered.and_then(|()| String::from_utf8(id).ok()).filter(|id| !id.is_empty()))
    }

    /// Runs what is due without any stream: ticks, messages of the guest's queues, answers to calls of its root context.
    /// In a guest of its own, for as long as the future is polled; ends when the guest waits for none of them.
    ///
    /// # Errors
    /// The guest failed; the caller decides when to try again.
    pub async fn run_root(&self) -> Result<()> {
        if !self.has_work {
            return Ok(());
        }
        root::run(self.start().await?).await
    }

    /// Lets guests go that no stream has had for `idle`, but for those of [`crate::PoolSettings::least`].
    pub fn trim(&self, idle: Duration) {
        self.pool.trim(idle);
    }

    /// Guests that are alive now.
    pub fn guests(&self) -> usize {
        self.pool.busy() + self.pool.waiting()
    }

    /// Whether the module speaks Layotto's dialect: it says its id.
    pub fn has_id(&self) -> bool {
        self.module.core().is_ok_and(|module| module.get_export("proxy_get_id").is_some())
    }

    /// The ABI's version that the module was made for.
    pub fn version(&self) -> Version {
        self.version
    }

    async fn start(&self) -> Result<Instance> {
        Instance::start(&self.engine, &self.module, self.version, &self.pre, &self.settings).await
    }
}
