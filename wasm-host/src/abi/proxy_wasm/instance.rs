//! A living guest, its start, and its callbacks.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc;
use wasmtime::{InstancePre, TypedFunc, WasmParams, WasmResults};

use super::abi::{Abi, Event, ROOT};
use super::settings::ProxySettings;
use super::status::Version;
use super::stream::Window;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::log::Level;
use crate::module::Module;
use crate::store::{Guest, State};
use crate::wasi::{Output, Wasi};

/// Events from outside that wait for the guest.
const WAITING: usize = 256;

/// A guest whose plugin is configured.
pub(super) struct Instance {
    pub guest: Guest<Abi>,
    pub events: mpsc::Receiver<Event>,
    pub version: Version,
    /// Streams that it has seen.
    pub calls: u32,
    /// Bytes of its memory when it was ready for its first stream.
    first_size: usize,
    /// Callbacks by name and by the type with which they were looked up, each a `TypedFunc`. `None`: the guest has none.
    callbacks: HashMap<(&'static str, TypeId), Option<Box<dyn Any + Send + Sync>>>,
}

impl Instance {
    /// Starts a guest: its own start, VM, plugin; in the order of Envoy's host.
    ///
    /// # Errors
    /// The guest fails, refuses its configuration, or has no allocator.
    pub async fn start(
        engine: &Engine,
        module: &Module,
        version: Version,
        pre: &InstancePre<State<Abi>>,
        settings: &Arc<ProxySettings>,
    ) -> Result<Self> {
        let (sender, events) = mpsc::channel(WAITING);
        let abi = Abi::new(settings.clone(), module.name(), sender);
        let guest = Guest::new(engine, module.name().clone(), pre, settings.limits, wasi(settings), abi).await?;
        let mut instance = Self { guest, events, version, calls: 0, first_size: 0, callbacks: HashMap::new() };
        instance.initialize().await?;
        let name = module.name().to_string();
        let contract = |reason: &str| Error::Contract { guest: name.clone(), reason: reason.to_owned() };
        // TinyGo's `malloc` pins what it gives until a `free` that nobody calls: the ABI's own comes first.
        let allocate = instance.guest.function("proxy_on_memory_allocate");
        let allocate = allocate.or_else(|| instance.guest.function("malloc"));
        let allocate = allocate.ok_or_else(|| contract("guest exports neither proxy_on_memory_allocate nor malloc"))?;
        let abi = &mut instance.guest.state().abi;
        abi.allocate = Some(allocate);
        abi.is_restricted = false;
        instance.call_if_there::<_, ()>("proxy_on_context_create", (ROOT, 0)).await?;
        let (vm, plugin) = (length(&settings.vm_configuration), length(&settings.plugin_configuration));
        instance.guest.state().abi.window = Window::VmStart;
        let is_started = instance.call_if_there::<_, u32>("proxy_on_vm_start", (ROOT, vm)).await?;
        if is_started == Some(0) {
            return Err(contract("guest refused to start: proxy_on_vm_start answered false"));
        }
        instance.guest.state().abi.window = Window::Configure;
        let is_configured = instance.call_if_there::<_, u32>("proxy_on_configure", (ROOT, plugin)).await?;
        if is_configured == Some(0) {
            return Err(contract("guest refused its configuration: proxy_on_configure answered false"));
        }
        instance.guest.state().abi.window = Window::None;
        instance.first_size = instance.size();
        Ok(instance)
    }

    /// Bytes of its memory.
    fn size(&mut self) -> usize {
        let memory = self.guest.state().memory;
        memory.map_or(0, |memory| memory.data_size(&self.guest.store))
    }

    /// Whether a new guest should take its place.
    pub fn is_worn(&mut self) -> bool {
        let pool = self.abi().settings.pool;
        self.calls >= pool.calls || self.size().saturating_sub(self.first_size) > pool.growth
    }

    /// Whether it waits for something that comes without a stream.
    pub fn has_work(&mut self) -> bool {
        let abi = self.abi();
        abi.tick != 0 || !abi.queues.is_empty() || !abi.calls.is_empty()
    }

    async fn initialize(&mut self) -> Result<()> {
        if self.call_if_there::<(), ()>("_initialize", ()).await?.is_some() {
            // C++ modules keep their `main` beside it.
            if self.call_if_there::<(u32, u32), u32>("main", (0, 0)).await?.is_none() {
                self.call_if_there::<(), u32>("__main_void", ()).await?;
            }
            return Ok(());
        }
        match self.call_if_there::<(), ()>("_start", ()).await {
            Ok(_) | Err(Error::Exit(0)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Calls what the guest exports as `name`; `None` when it exports nothing of this name and signature.
    pub async fn call_if_there<P, R>(&mut self, name: &'static str, parameters: P) -> Result<Option<R>>
    where
        P: WasmParams + Sync + 'static,
        R: WasmResults + Sync + 'static,
    {
        let (store, instance) = (&mut self.guest.store, self.guest.instance);
        let found = self.callbacks.entry((name, TypeId::of::<TypedFunc<P, R>>())).or_insert_with(|| {
            let found = instance.get_typed_func::<P, R>(store, name).ok();
            found.map(|function| Box::new(function) as Box<dyn Any + Send + Sync>)
        });
        let typed = found.as_ref().and_then(|found| found.downcast_ref::<TypedFunc<P, R>>());
        let Some(typed) = typed.cloned() else { return Ok(None) };
        self.guest.call(&typed, parameters).await.map(Some)
    }

    /// Calls back in a context.
    pub async fn call_in<P, R>(&mut self, context: u32, name: &'static str, parameters: P) -> Result<Option<R>>
    where
        P: WasmParams + Sync + 'static,
        R: WasmResults + Sync + 'static,
    {
        self.guest.state().abi.context = context;
        self.call_if_there(name, parameters).await
    }

    pub fn abi(&mut self) -> &mut Abi {
        &mut self.guest.state().abi
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Standard output and error are lines of the log.
fn wasi(settings: &ProxySettings) -> Wasi {
    let mut wasi = Wasi::new(false);
    let (output, errors) = (settings.log.clone(), settings.log.clone());
    wasi.output = Output::lines(move |line| output.write(Level::Info, line));
    wasi.errors = Output::lines(move |line| errors.write(Level::Error, line));
    let environment = settings.environment.iter().map(|(name, value)| format!("{name}={value}").into_bytes());
    wasi.environment = environment.collect();
    wasi
}
