//! What belongs to one component guest.

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::Inner;
use super::link::Link;
use super::outgoing::Outgoing;
use super::output::Lines;
use crate::error::{Error, Result};
use crate::log::Level;
use crate::meter::Meter;
use crate::sidecar::Caller;
use crate::store::{Metered, begin, bound, explain};

/// Handles that one guest can have at a time.
const RESOURCES: usize = 10_000;

/// The data of a component's store.
pub(super) struct State {
    pub table: ResourceTable,
    pub config: Arc<BTreeMap<String, String>>,
    outgoing: Outgoing,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    output: Lines,
    errors: Lines,
    guest: Arc<str>,
    meter: Meter,
    _alive: Arc<()>,
}

impl State {
    /// A store for one call.
    ///
    /// # Errors
    /// [`Error::Engine`], which is a defect.
    pub fn store(inner: &Inner, caller: &Caller) -> Result<Store<Self>> {
        let Inner { engine, guest, settings, .. } = inner;
        let output = Lines::new(settings.log.clone(), Level::Info);
        let errors = Lines::new(settings.log.clone(), Level::Error);
        // No folder, no socket, no look-up of names: none is opened here, and the context has none by itself.
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output.clone()).stderr(errors.clone()).arg(&caller.function).envs(&settings.environment);
        wasi.allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES);
        let link = Link { sidecar: settings.sidecar.clone(), caller: caller.clone(), log: settings.log.clone() };
        let state = Self {
            table,
            config: settings.config.clone(),
            outgoing: Outgoing { link },
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            output,
            errors,
            guest: guest.clone(),
            meter: Meter::of_component(settings.limits, engine.settings(), engine.turns()),
            _alive: inner.alive.clone(),
        };
        let mut store = Store::new(engine.wasm(), state);
        bound(&mut store);
        begin(engine, &mut store)?;
        Ok(store)
    }

    /// The guest's line to its sidecar.
    pub fn link(&self) -> &Link {
        &self.outgoing.link
    }

    /// How the call ended, in our words; and that it ended.
    pub fn end<T>(&self, called: wasmtime::Result<T>) -> Result<T> {
        self.output.finish();
        self.errors.finish();
        called.map_err(|error| match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Error::Exit(code.unsigned_abs()),
            None => explain(&self.guest, &self.meter, error),
        })
    }
}

impl Metered for State {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.outgoing, table: &mut self.table, ctx: &mut self.http }
    }
}
