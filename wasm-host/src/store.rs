//! A living guest's store: what belongs to it beside its memory, and how it is entered.

use std::future::Future;
use std::sync::Arc;

use wasmtime::{InstancePre, Memory, PoolConcurrencyLimitError, Store, Trap, TypedFunc, WasmBacktrace};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::meter::Meter;
use crate::settings::Limits;
use crate::wasi::Wasi;

/// Frames of a trap that are kept.
const FRAMES: usize = 20;

/// What a guest has beside its memory. `T` belongs to its kind.
pub(crate) struct State<T> {
    pub abi: T,
    pub wasi: Wasi,
    pub guest: Arc<str>,
    pub memory: Option<Memory>,
    meter: Meter,
}

impl<T> Metered for State<T> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

/// What a bounded store has.
pub(crate) trait Metered {
    fn meter(&mut self) -> &mut Meter;
}

/// Has the engine ask the store's meter from now on.
pub(crate) fn bound<D: Metered>(store: &mut Store<D>) {
    store.limiter(|data| data.meter());
    store.epoch_deadline_callback(|mut context| context.data_mut().meter().tick());
}

/// A guest that can be entered.
pub(crate) struct Guest<T: 'static> {
    pub store: Store<State<T>>,
    pub instance: wasmtime::Instance,
    engine: Engine,
}

impl<T: Send + 'static> Guest<T> {
    /// Makes a guest and runs its module's start function, if it has one; `_start` and the like are the caller's.
    pub async fn new(
        engine: &Engine,
        guest: Arc<str>,
        pre: &InstancePre<State<T>>,
        limits: Limits,
        wasi: Wasi,
        abi: T,
    ) -> Result<Self> {
        let meter = Meter::new(limits, engine.settings(), engine.turns());
        let mut store = Store::new(engine.wasm(), State { abi, wasi, guest, memory: None, meter });
        bound(&mut store);
        begin(engine, &mut store)?;
        let _running = engine.running();
        let made = within(limits, pre.instantiate_async(&mut store)).await;
        let instance = made.map_err(|error| store.data().explain(error))?;
        store.data_mut().memory = instance.get_memory(&mut store, "memory");
        Ok(Self { store, instance, engine: engine.clone() })
    }

    /// The function that the guest exports as `name` with this signature.
    pub fn function<P, R>(&mut self, name: &str) -> Option<TypedFunc<P, R>>
    where
        P: wasmtime::WasmParams,
        R: wasmtime::WasmResults,
    {
        self.instance.get_typed_func(&mut self.store, name).ok()
    }

    /// Enters the guest. After an error, or when the future was dropped before its end, the guest must not be entered
    /// again.
    pub async fn call<P, R>(&mut self, function: &TypedFunc<P, R>, parameters: P) -> Result<R>
    where
        P: wasmtime::WasmParams + Sync,
        R: wasmtime::WasmResults + Sync,
    {
        begin(&self.engine, &mut self.store)?;
        let _running = self.engine.running();
        let limits = *self.store.data().meter.limits();
        let called = within(limits, function.call_async(&mut self.store, parameters)).await;
        called.map_err(|error| self.store.data().explain(error))
    }

    pub fn state(&mut self) -> &mut State<T> {
        self.store.data_mut()
    }
}

impl<T> State<T> {
    fn explain(&self, error: wasmtime::Error) -> Error {
        explain(&self.guest, &self.meter, error)
    }
}

/// A call begins: with all of its time and fuel.
pub(crate) fn begin<D: Metered>(engine: &Engine, store: &mut Store<D>) -> Result<()> {
    store.data_mut().meter().begin();
    store.set_epoch_deadline(1);
    if engine.settings().fuel {
        let fuel = store.data_mut().meter().limits().fuel.unwrap_or(u64::MAX);
        store.set_fuel(fuel).map_err(|error| Error::Engine(error.to_string()))?;
    }
    Ok(())
}

/// Ends a call when its time is over, waiting included.
pub(crate) async fn within<R>(limits: Limits, call: impl Future<Output = wasmtime::Result<R>>) -> wasmtime::Result<R> {
    let Some(wall) = limits.wall else { return call.await };
    match tokio::time::timeout(wall, call).await {
        Ok(result) => result,
        Err(_) => Err(Error::OutOfTime { guest: String::new(), limit: wall }.into()),
    }
}

/// What the engine's error means.
pub(crate) fn explain(guest: &str, meter: &Meter, error: wasmtime::Error) -> Error {
    let guest = guest.to_owned();
    let limits = meter.limits();
    let frames = || {
        let backtrace = error.downcast_ref::<WasmBacktrace>();
        let frames = backtrace.map(WasmBacktrace::frames).unwrap_or_default().iter().take(FRAMES);
        frames
            .map(|frame| match frame.func_name() {
                Some(name) => printable(name),
                None => format!("function {}", frame.func_index()),
            })
            .collect()
    };
    if let Some(own) = error.downcast_ref::<Error>() {
        return match own.clone() {
            Error::Trap { reason, .. } => Error::Trap { guest, reason, backtrace: frames() },
            other => other.of(&guest),
        };
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Error::Busy(format!("no room for one more guest of {guest}: as many run as this gateway has room for"));
    }
    if let (Some(Trap::OutOfFuel), Some(limit)) = (error.downcast_ref::<Trap>(), limits.fuel) {
        return Error::OutOfFuel { guest, limit };
    }
    // A guest that does not get memory ends itself in its own way, and nothing in that says why.
    if let Some(wanted) = meter.refused() {
        return Error::OutOfMemory { guest, limit: limits.memory, wanted };
    }
    let reason = match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    };
    Error::Trap { guest, reason, backtrace: frames() }
}

/// Names come from the module: what a terminal would obey is left out.
fn printable(name: &str) -> String {
    name.chars().filter(|letter| !letter.is_control()).take(200).collect()
}
