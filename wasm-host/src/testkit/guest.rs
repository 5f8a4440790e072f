//! A built function beside the fake sidecar.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;

use super::FakeSidecar;
use crate::abi::component::{Component, ComponentSettings};
use crate::abi::proxy_wasm::{ProxyFunction, ProxySettings, ProxyWasm, Reach, Services};
use crate::body::Body;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::function::{Function, Message, Outcome};
use crate::kind::Kind;
use crate::log::{Level, Log};
use crate::pool::PoolSettings;
use crate::settings::{Limits, Settings};
use crate::sidecar::{Caller, Granted, Grants};

/// Bytes of a body, in and out.
const BODY: usize = 4 << 20;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What a function has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// A function that runs: a proxy-wasm module or a component.
pub struct Guest {
    /// What it finds, and what it has left there.
    pub sidecar: Arc<FakeSidecar>,
    function: Arc<dyn Function>,
    lines: Arc<Lines>,
    caller: Caller,
}

impl Guest {
    /// Compiles a module and starts it, with the gateway's own limits.
    ///
    /// # Errors
    /// It is of no kind that functions are of, or does not start.
    pub async fn load(name: &str, module: impl Into<Bytes>, grants: Grants) -> Result<Self> {
        let engine = Engine::new(Settings { instances: 20, pooling: false, ..Settings::default() })?;
        let module = engine.module(name, module).await?;
        let (sidecar, lines) = (Arc::new(FakeSidecar::default()), Arc::new(Lines::default()));
        let granted = Arc::new(Granted { grants: grants.clone(), sidecar: sidecar.clone() });
        let function: Arc<dyn Function> = match module.kind() {
            Some(Kind::ProxyWasm) => {
                let host = Reach { sidecar: granted, grants, properties: BTreeMap::new(), body_limit: BODY };
                let settings = ProxySettings {
                    plugin: name.to_owned(),
                    vm_id: name.to_owned(),
                    root_id: String::new(),
                    vm_configuration: Bytes::new(),
                    plugin_configuration: Bytes::new(),
                    environment: Vec::new(),
                    limits: Limits::default(),
                    pool: PoolSettings::default(),
                    host: Arc::new(host),
                    services: Services::default(),
                    log: lines.clone(),
                    body_limit: BODY,
                };
                Arc::new(ProxyFunction::new(ProxyWasm::new(&engine, module, settings).await?, BODY, TIMEOUT))
            }
            Some(Kind::Component) => {
                let settings = ComponentSettings {
                    limits: Limits::default(),
                    environment: Vec::new(),
                    config: Arc::default(),
                    sidecar: granted,
                    log: lines.clone(),
                };
                Arc::new(Component::new(&engine, &module, settings)?)
            }
            other => {
                let kind = other.map_or("of no kind that is known", Kind::guests);
                let reason =
                    format!("the module {name} is one of {kind}; a function is a proxy-wasm module or a component");
                return Err(Error::Contract { guest: name.to_owned(), reason });
            }
        };
        Ok(Self { sidecar, function, lines, caller: Caller::new(name) })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// What ended the guest.
    pub async fn call(&self, request: Request<impl Into<Bytes>>) -> Result<Answer> {
        let request = request.map(|body| Body::full(body));
        let (parts, body) = self.function.handle_http(&self.caller, request).await?.into_parts();
        let body = body.collect().await.map_err(|error| Error::Request(format!("the answer's body: {error}")))?;
        Ok(Answer { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }

    /// Hands it a message.
    ///
    /// # Errors
    /// As [`Guest::call`].
    pub async fn take(&self, message: Message) -> Result<Outcome> {
        self.function.handle_event(&self.caller, message).await
    }

    /// What it has logged since the last time.
    pub fn lines(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *self.lines.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<(Level, String)>>);

impl Log for Lines {
    fn is_enabled(&self, _: Level) -> bool {
        true
    }

    fn write(&self, level: Level, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((level, line.to_owned()));
    }
}
