//! `middleware.http.wasm`: an http-wasm guest as middleware (as daprd 1.18).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use components::metadata::Properties;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode, Uri};
use wasm_host::abi::http_wasm::{HttpSettings, HttpWasm};
use wasm_host::components::Options;
use wasm_host::log::ComponentLog;
use wasm_host::{Error, PoolSettings, SharedEngine};

use super::{Aliased, Middleware, Next, SCOPE};
use crate::body::Body;
use crate::sniff;

/// What one callback of a guest may compute unless `timeout` says otherwise.
const TIME: Duration = Duration::from_secs(1);

/// Bytes of one body that a guest can ask to have kept.
const BODY_LIMIT: usize = 64 << 20;

/// Where a request came from, on requests of the API server.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

pub struct Wasm {
    handler: HttpWasm,
}

impl Wasm {
    /// Loads the module and starts one guest.
    ///
    /// # Errors
    /// With daprd's text where it has one.
    pub async fn load(properties: &Properties, engine: &SharedEngine) -> Result<Self, String> {
        let options = Options::read(properties, TIME)?;
        let mut pool = PoolSettings::default();
        let size =
            properties.number(&["poolSize"]).map_err(|error| format!("wasm: failed to parse metadata: {error}"))?;
        if let Some(size) = size.filter(|size| *size > 0) {
            pool.size = size;
        }
        let engine = engine.get().map_err(|error| error.to_string())?;
        let module = options.load(&engine, "guest").await?;
        let settings = HttpSettings {
            config: Bytes::copy_from_slice(properties.get(&["guestConfig"]).unwrap_or_default().as_bytes()),
            is_strict: options.strict_sandbox,
            limits: options.limits,
            pool,
            body_limit: BODY_LIMIT,
            log: Arc::new(ComponentLog),
        };
        let handler = HttpWasm::new(&engine, module, settings).await.map_err(|error| match error {
            Error::Contract { .. } => format!("wasm: {error}"),
            other => format!("wasm: error instantiating guest: {other}"),
        })?;
        Ok(Self { handler })
    }
}

#[async_trait]
impl Middleware for Wasm {
    async fn handle(&self, request: Request<Body>, next: Next<'_>) -> Response<Body> {
        let uri = request.uri().clone();
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.to_string()).unwrap_or_default();
        let outcome = self
            .handler
            .handle(request.map(to_guest), peer, |request| async move {
                next.run(from_guest_request(request, &uri)).await.map(to_guest)
            })
            .await;
        match outcome {
            Ok(response) => typed(response.map(from_guest)),
            Err(error) => {
                tracing::error!(target: SCOPE, "{error}");
                failure(&error)
            }
        }
    }
}

fn from_guest_request(request: Request<wasm_host::body::Body>, before: &Uri) -> Request<Body> {
    let mut request = request.map(from_guest);
    if request.uri().path() != before.path() {
        request.extensions_mut().insert(Aliased);
    }
    request
}

/// A guest's own answer without a type gets one by its first bytes, as Go gives it.
fn typed(mut response: Response<Body>) -> Response<Body> {
    if !response.headers().contains_key(CONTENT_TYPE)
        && let Some(body) = response.body().as_full().filter(|body| !body.is_empty())
    {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(sniff::content_type(&body)));
    }
    response
}

/// 500 with the reason, as daprd; 503 when no guest was free.
fn failure(error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::full(error.brief()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if error.is_busy() {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn to_guest(body: Body) -> wasm_host::body::Body {
    match body.as_full() {
        Some(bytes) => wasm_host::body::Body::full(bytes),
        None => wasm_host::body::Body::stream(body),
    }
}

fn from_guest(body: wasm_host::body::Body) -> Body {
    match body {
        wasm_host::body::Body::Kept { data, trailers: None } => Body::full(data),
        other => Body::stream(other),
    }
}
