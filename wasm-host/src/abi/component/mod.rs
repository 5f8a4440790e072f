//! Components of the component model as functions: `wasi:http` 0.2, and handlers of messages.
//!
//! Every call gets a fresh guest. It has WASI 0.2 without files and sockets, real clocks and chance, its own environment;
//! what it writes to standard output and error goes into the log. Everything outside of it is behind
//! [`Sidecar`](crate::sidecar::Sidecar): requests (`wasi:http`), state (`wasi:keyvalue`), messages (`wasi:messaging`), and
//! what no standard says (`ottavo:runtime`, see `wit/deps/ottavo-runtime`). `wasi:config` is the function's own
//! configuration.

mod atomics;
mod bindings;
mod config;
mod events;
mod handlers;
mod http;
mod keyvalue;
mod link;
mod messaging;
mod outgoing;
mod output;
mod response;
mod runtime;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use ::http::{Request, Response};
use async_trait::async_trait;
use wasmtime::component::{HasSelf, Linker};
use wasmtime_wasi_http::p2::bindings::ProxyPre;

pub use handlers::Handlers;
pub(crate) use handlers::refused_import;

use self::bindings::events::EventsPre;
use self::bindings::imports::Imports;
use self::bindings::messages::MessagesPre;
use self::state::State;
use crate::body::Body;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::function::{Function, Message, Outcome, message_as_request};
use crate::log::Log;
use crate::module::Module;
use crate::settings::Limits;
use crate::sidecar::{Caller, Sidecar};

/// How a component is run.
#[derive(Clone)]
pub struct ComponentSettings {
    pub limits: Limits,
    /// `NAME`, value: what a guest sees as environment.
    pub environment: Vec<(String, String)>,
    /// What `wasi:config` gives.
    pub config: Arc<BTreeMap<String, String>>,
    /// Where the guest's calls go. It refuses what the function was not granted.
    pub sidecar: Arc<dyn Sidecar>,
    pub log: Arc<dyn Log>,
}

/// A component that is a function. Cheap to clone.
#[derive(Clone)]
pub struct Component(Arc<Inner>);

struct Inner {
    engine: Engine,
    guest: Arc<str>,
    settings: ComponentSettings,
    http: Option<ProxyPre<State>>,
    messages: Option<MessagesPre<State>>,
    events: Option<EventsPre<State>>,
    /// Every guest holds one more.
    alive: Arc<()>,
}

impl Component {
    /// Resolves what the component imports, once for all calls.
    ///
    /// # Errors
    /// [`Error::Compile`] for a core module; [`Error::Contract`] when it imports what there is not, or exports nothing that
    /// a function can be asked.
    pub fn new(engine: &Engine, module: &Module, settings: ComponentSettings) -> Result<Self> {
        let component = module.component()?;
        let guest = module.name().clone();
        let handlers = handlers::check(&guest, component)?;
        let contract = |error: wasmtime::Error| Error::Contract {
            guest: guest.to_string(),
            reason: format!("the component {guest}: {error:#}"),
        };
        let pre = module.link_component(|| {
            let mut linker = Linker::new(engine.wasm());
            add(&mut linker).map_err(|error| Error::Engine(format!("{error:#}")))?;
            linker.instantiate_pre(component).map_err(contract)
        })?;
        let http = handlers.http.then(|| ProxyPre::new(pre.clone())).transpose().map_err(contract)?;
        let messages = handlers.messages.then(|| MessagesPre::new(pre.clone())).transpose().map_err(contract)?;
        let events = handlers.events.then(|| EventsPre::new(pre)).transpose().map_err(contract)?;
        Ok(Self(Arc::new(Inner {
            engine: engine.clone(),
            guest,
            settings,
            http,
            messages,
            events,
            alive: Arc::default(),
        })))
    }
}

#[async_trait]
impl Function for Component {
    async fn handle_http(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>> {
        http::handle(&self.0, caller, request).await
    }

    async fn handle_event(&self, caller: &Caller, message: Message) -> Result<Outcome> {
        match (&self.0.events, &self.0.messages) {
            (Some(pre), _) => events::handle(&self.0, pre, caller, message).await,
            (None, Some(pre)) => messaging::handle(&self.0, pre, caller, message).await,
            (None, None) => message_as_request(self, caller, message).await,
        }
    }

    fn guests(&self) -> usize {
        Arc::strong_count(&self.0.alive) - 1
    }
}

fn add(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    Imports::add_to_linker::<State, HasSelf<State>>(linker, |state| state)
}
