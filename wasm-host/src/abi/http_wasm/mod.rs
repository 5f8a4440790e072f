//! http-wasm: a guest around an HTTP handler (the ABI `http_handler` of <https://http-wasm.io>).
//!
//! `handle_request` sees a request, may change or answer it, and says whether the next handler is called;
//! `handle_response` then sees the answer. A misuse of a host function is a trap; a trap ends the guest, and its caller
//! answers 500.

mod body;
mod exchange;
mod headers;
mod message;
mod plain;

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use wasmtime::{InstancePre, Linker, TypedFunc};

pub use exchange::Features;
use exchange::{Exchange, Phase};

use crate::body::Body;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::kind::Kind;
use crate::log::{Level, Log};
use crate::module::{Module, Type};
use crate::pool::{Pool, PoolSettings, Taken};
use crate::settings::Limits;
use crate::store::{Guest, State};
use crate::wasi::{self, Wasi};

/// The module that guests import.
const HOST: &str = "http_handler";

/// How guests of one module are treated.
#[derive(Clone)]
pub struct HttpSettings {
    /// What `get_config` gives.
    pub config: Bytes,
    /// See [`crate::components::bindings`].
    pub is_strict: bool,
    pub limits: Limits,
    pub pool: PoolSettings,
    /// Bytes of one body that are kept for a guest at most.
    pub body_limit: usize,
    pub log: Arc<dyn Log>,
}

/// What belongs to one guest.
pub(crate) struct Abi {
    settings: HttpSettings,
    /// Enabled while the guest started: for every request.
    features: Features,
    /// The present request.
    exchange: Option<Exchange>,
}

impl Abi {
    /// # Errors
    /// The guest asks outside of a request, for example in its start.
    fn exchange(&mut self) -> Result<&mut Exchange> {
        self.exchange.as_mut().ok_or_else(|| Error::misuse("there is no request now"))
    }
}

struct Instance {
    guest: Guest<Abi>,
    handle_request: TypedFunc<(), u64>,
    handle_response: TypedFunc<(u32, u32), ()>,
}

/// A module that handles requests. Its guests are made as they are needed and used again.
pub struct HttpWasm {
    engine: Engine,
    module: Module,
    pre: InstancePre<State<Abi>>,
    settings: HttpSettings,
    pool: Arc<Pool<Instance>>,
}

impl HttpWasm {
    /// Checks the module and starts one guest, so that what cannot work fails here.
    ///
    /// # Errors
    /// [`Error::Contract`] with the text of daprd's host, [`Error::Link`], and what ends the guest in its start.
    pub async fn new(engine: &Engine, module: Module, settings: HttpSettings) -> Result<Self> {
        module.expect_function("handle_request", &[], &[Type::I64])?;
        module.expect_function("handle_response", &[Type::I32, Type::I32], &[])?;
        if !matches!(module.core()?.get_export("memory"), Some(wasmtime::ExternType::Memory(_))) {
            let reason = "guest doesn't export memory[memory]".into();
            return Err(Error::Contract { guest: module.name().to_string(), reason });
        }
        let pre = module.link(Kind::HttpWasm, || {
            let mut linker = Linker::new(engine.wasm());
            add(&mut linker)?;
            Ok(linker)
        })?;
        let pool = Arc::new(Pool::new(settings.pool));
        let handler = Self { engine: engine.clone(), module, pre, settings, pool };
        handler.pool.add(handler.start().await?);
        Ok(handler)
    }

    /// Sends a request through a guest. `next` stands behind it; `source` is the caller's address (`ip:port`).
    ///
    /// # Errors
    /// The guest failed, or none was free ([`Error::Busy`]).
    pub async fn handle<F>(
        &self,
        request: Request<Body>,
        source: String,
        next: impl FnOnce(Request<Body>) -> F,
    ) -> Result<Response<Body>>
    where
        F: Future<Output = Response<Body>>,
    {
        let mut taken = self.pool.take(self.module.name(), || self.start()).await?;
        let instance = taken.get()?;
        let abi = &mut instance.guest.state().abi;
        abi.exchange = Some(Exchange::new(request, source, abi.features, self.settings.body_limit));
        let handle_request = instance.handle_request.clone();
        let answer = instance.guest.call(&handle_request, ()).await?;
        let exchange = instance.guest.state().abi.exchange()?;
        if answer as u32 == 0 {
            let response = exchange.own_response();
            self.finish(taken);
            return Ok(response);
        }
        let request = exchange.next_request().await.map_err(|error| error.of(self.module.name()))?;
        let response = next(request).await;
        exchange.take_response(response).await.map_err(|error| error.of(self.module.name()))?;
        exchange.phase = Phase::AfterNext;
        let handle_response = instance.handle_response.clone();
        instance.guest.call(&handle_response, ((answer >> 32) as u32, 0)).await?;
        let response = instance.guest.state().abi.exchange()?.final_response();
        self.finish(taken);
        Ok(response)
    }

    async fn start(&self) -> Result<Instance> {
        let abi = Abi { settings: self.settings.clone(), features: Features::default(), exchange: None };
        let mut wasi = Wasi::new(self.settings.is_strict);
        wasi.arguments = vec![self.module.name().as_bytes().to_vec()];
        let name = self.module.name().clone();
        let mut guest = Guest::new(&self.engine, name, &self.pre, self.settings.limits, wasi, abi).await?;
        if let Some(start) = guest.function::<(), ()>("_start") {
            match guest.call(&start, ()).await {
                // A main function may end with an exit; the guest stays usable, as in daprd's engine.
                Ok(()) | Err(Error::Exit(0)) => {}
                Err(error) => return Err(error),
            }
        }
        let contract = |name: &str| Error::Contract {
            guest: self.module.name().to_string(),
            reason: format!("guest doesn't export func[{name}]"),
        };
        let handle_request = guest.function("handle_request").ok_or_else(|| contract("handle_request"))?;
        let handle_response = guest.function("handle_response").ok_or_else(|| contract("handle_response"))?;
        Ok(Instance { guest, handle_request, handle_response })
    }

    /// A guest is ready for the next request.
    fn finish(&self, mut taken: Taken<Instance>) {
        let Ok(instance) = taken.get() else { return };
        let state = instance.guest.state();
        state.abi.exchange = None;
        for (name, bytes) in [("stdout", state.wasi.output.take()), ("stderr", state.wasi.errors.take())] {
            if !bytes.is_empty() {
                let text = wasi::printable(&bytes);
                self.settings.log.write(Level::Debug, &format!("wasm {name}: {text}"));
            }
        }
        taken.give_back();
    }
}

fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    wasi::add(linker)?;
    plain::add(linker)?;
    message::add(linker)?;
    headers::add(linker)?;
    body::add(linker)
}

/// What a module imports that guests of this kind do not get: module and name.
pub(crate) fn missing(engine: &Engine, module: &Module) -> Result<Vec<(String, String)>> {
    let mut linker = Linker::new(engine.wasm());
    add(&mut linker).map_err(|error| Error::Engine(error.to_string()))?;
    crate::inspect::missing(module, linker)
}
