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
use crate::body::{Body, from_guest, to_guest};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::collect;
    use crate::config::configuration::PipelineSpec;
    use crate::config::configuration::pipeline::Handler;
    use crate::pipeline::{Middlewares, Pipeline, Workshop, build};

    /// `/trap` traps, `/own` answers with the configuration, everything else goes on as `/seen` with a header.
    const GUEST: &str = r#"(module
        (import "http_handler" "get_uri" (func $get_uri (param i32 i32) (result i32)))
        (import "http_handler" "set_uri" (func $set_uri (param i32 i32)))
        (import "http_handler" "get_config" (func $get_config (param i32 i32) (result i32)))
        (import "http_handler" "set_header_value" (func $set_header (param i32 i32 i32 i32 i32)))
        (import "http_handler" "write_body" (func $write_body (param i32 i32 i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "/seen") (data (i32.const 8) "guest") (data (i32.const 16) "yes")
        (func (export "handle_request") (result i64) (local $second i32)
            (drop (call $get_uri (i32.const 100) (i32.const 100)))
            (local.set $second (i32.load8_u (i32.const 101)))
            (if (i32.eq (local.get $second) (i32.const 116)) (then unreachable))
            (if (i32.eq (local.get $second) (i32.const 111)) (then
                (call $write_body (i32.const 1) (i32.const 200) (call $get_config (i32.const 200) (i32.const 100)))
                (return (i64.const 0))))
            (call $set_uri (i32.const 0) (i32.const 5))
            (call $set_header (i32.const 0) (i32.const 8) (i32.const 5) (i32.const 16) (i32.const 3))
            (i64.const 1))
        (func (export "handle_response") (param i32 i32)))"#;

    fn properties(folder: &std::path::Path, more: &[(&str, &str)]) -> Properties {
        let path = folder.join("guest.wasm");
        std::fs::write(&path, wat::parse_str(GUEST).unwrap()).unwrap();
        let url = format!("file://{}", path.display());
        let entries = [("url", url.as_str()), ("guestConfig", "<p>configured")].into_iter().chain(more.iter().copied());
        Properties::new(entries.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    async fn pipeline(properties: &Properties) -> Pipeline {
        let built = build("middleware.http.wasm", "v1", properties, &Workshop::default()).await.unwrap();
        let mut middlewares = Middlewares::default();
        middlewares.insert("guest".into(), "middleware.http.wasm".into(), built);
        let handler = Handler { name: "guest".into(), kind: "middleware.http.wasm".into(), version: String::new() };
        middlewares.pipeline("test", &PipelineSpec { handlers: vec![handler] })
    }

    /// Behind the pipeline: path, header and body of what came.
    async fn send(pipeline: &Pipeline, path: &str) -> (StatusCode, Option<String>, String) {
        let request = Request::post(path).body(Body::full("body")).unwrap();
        let response = pipeline
            .run(request, |request| {
                Box::pin(async move {
                    let is_aliased = request.extensions().get::<Aliased>().is_some();
                    let (parts, body) = request.into_parts();
                    let body = String::from_utf8(collect(body, 0).await.unwrap().to_vec()).unwrap();
                    let guest = parts.headers.get("guest").map_or("", |value| value.to_str().unwrap());
                    Response::new(Body::full(format!("{} {guest} {body} {is_aliased}", parts.uri)))
                })
            })
            .await;
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let body = String::from_utf8(collect(response.into_body(), 0).await.unwrap().to_vec()).unwrap();
        (status, kind, body)
    }

    #[tokio::test]
    async fn a_guest_changes_answers_or_breaks_a_request() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = pipeline(&properties(folder.path(), &[])).await;
        for _ in 0..2 {
            assert_eq!(send(&pipeline, "/path").await.2, "/seen yes body true");
            let (status, kind, body) = send(&pipeline, "/own").await;
            assert_eq!((status, body.as_str()), (StatusCode::OK, "<p>configured"));
            assert_eq!(kind.as_deref(), Some("text/html; charset=utf-8"));
            let (status, _, body) = send(&pipeline, "/trap").await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(body.contains("unreachable"), "{body}");
        }
    }

    #[tokio::test]
    async fn what_is_wrong_has_daprds_texts() {
        let error = |entries: &[(&str, &str)]| {
            let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let properties = Properties::new(entries);
            async move { Wasm::load(&properties, &SharedEngine::default()).await.err().unwrap() }
        };
        assert_eq!(error(&[]).await, "wasm: failed to parse metadata: missing url");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guest.go");
        std::fs::write(&path, "package main").unwrap();
        let url = format!("file://{}", path.display());
        assert_eq!(error(&[("url", &url)]).await, "wasm: error compiling guest: invalid magic number");
        std::fs::write(&path, wat::parse_str("(module)").unwrap()).unwrap();
        assert_eq!(error(&[("url", &url)]).await, "wasm: guest doesn't export func[handle_request]");
        let pinned = properties(folder.path(), &[("sha256", "00")]);
        let error = Wasm::load(&pinned, &SharedEngine::default()).await.err().unwrap();
        assert!(error.contains("sha256") && error.contains("update the pin"), "{error}");
    }
}
