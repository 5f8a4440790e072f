//! What functions ask for, answered by the same door as every other call.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use bytes::Bytes;
use components::metadata::Secret;
use components::state::{Consistency, Options, Value};
use components::{Metadata, state};
use http::{Request, Response, StatusCode};
use wasm_host::sidecar::{Binding, CallError, Caller, Event, Sidecar, StateChange, StateItem};

use crate::blocks::bindings::InvokeBinding;
use crate::blocks::invoke::{AppCall, CallHead, InvokeApp, ReplyStatus, Verb, status};
use crate::blocks::pubsub::PublishEvent;
use crate::blocks::secrets::GetSecret;
use crate::blocks::state::{
    DeleteItem, DeleteState, ExecuteStateTransaction, GetState, SaveItem, SaveState, TransactionOp,
};
use crate::body::{Body, from_guest, to_guest};
use crate::client::Origin;
use crate::client::http1::Http1Pool;
use crate::client::tls::{TlsConfig, Trust};
use crate::error::ApiError;
use crate::functions::call::{Cause, Origin as CallOrigin};
use crate::functions::slot::Slot;
use crate::functions::{Functions, Inner};
use crate::operation::{CallContext, Front};
use crate::runtime::Runtime;
use crate::telemetry::trace::SpanContext;

/// Hosts outside to which connections are kept.
const MOST_HOSTS: usize = 64;

/// Answers the calls of functions.
pub struct Guest {
    /// Of the present generation; none before the first and after the last.
    runtime: ArcSwapOption<Runtime>,
    functions: Weak<Inner>,
    pools: Mutex<HashMap<String, Http1Pool>>,
}

impl Guest {
    pub fn new(functions: &Functions) -> Self {
        Self { runtime: ArcSwapOption::empty(), functions: functions.downgrade(), pools: Mutex::default() }
    }

    /// Calls from now on go to this runtime; `None`: to none.
    pub fn set_runtime(&self, runtime: Option<Runtime>) {
        self.runtime.store(runtime.map(Arc::new));
    }

    fn runtime(&self) -> Result<Arc<Runtime>, CallError> {
        self.runtime.load_full().ok_or_else(|| CallError::Unavailable("the sidecar starts or ends".into()))
    }

    /// Connections to a host outside.
    fn pool(&self, request: &Request<Body>) -> Result<Http1Pool, CallError> {
        let uri = request.uri();
        let invalid = |reason: &str| CallError::Invalid(format!("'{uri}': {reason}"));
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().ok_or_else(|| invalid("it names no host"))?;
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let key = format!("{is_tls} {host}:{port}");
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&key) {
            return Ok(pool.clone());
        }
        let tls = is_tls.then(|| TlsConfig::new(Trust::System));
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let origin = Origin::new(bare, port, tls).map_err(|error| invalid(&error.to_string()))?;
        if pools.len() >= MOST_HOSTS {
            pools.clear();
        }
        Ok(pools.entry(key).or_insert_with(|| Http1Pool::new(origin)).clone())
    }
}

/// The span that a function works in.
fn span(caller: &Caller) -> Option<SpanContext> {
    let (parent, state) = caller.trace.as_ref()?;
    SpanContext::from_headers(Some(parent), Some(state.as_str()).filter(|state| !state.is_empty()))
}

fn context(caller: &Caller, front: Front) -> CallContext {
    CallContext { trace: span(caller), ..CallContext::new(front) }
}

/// An error of the API as a function sees it.
fn refused(error: &ApiError) -> CallError {
    let text = error.to_string();
    match (error.http_status(), error.grpc_code()) {
        (StatusCode::CONFLICT, _) | (_, tonic::Code::Aborted) => CallError::Conflict(text),
        (StatusCode::NOT_FOUND, _) => CallError::NotFound(text),
        (_, tonic::Code::DeadlineExceeded) => CallError::OutOfTime(text),
        (StatusCode::SERVICE_UNAVAILABLE, _) | (_, tonic::Code::Unavailable) => CallError::Unavailable(text),
        (status, _) if status.is_client_error() => CallError::Invalid(text),
        _ => CallError::Failed(text),
    }
}

fn save_item(key: String, value: Bytes, etag: Option<String>, metadata: Metadata) -> SaveItem {
    SaveItem { key, value: Value::Bytes(value), sent: None, options: options(etag.as_ref()), etag, metadata }
}

/// A key that is not there yet.
fn new_item(key: String, value: Bytes, metadata: Metadata) -> SaveItem {
    SaveItem { options: first_write(), ..save_item(key, value, None, metadata) }
}

/// An ETag is meant: only its own value is changed.
fn options(etag: Option<&String>) -> Options {
    match etag {
        Some(_) => first_write(),
        None => Options::default(),
    }
}

fn first_write() -> Options {
    Options { concurrency: state::Concurrency::FirstWrite, ..Options::default() }
}

#[async_trait]
impl Sidecar for Guest {
    async fn get_state(&self, caller: &Caller, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        let operation = GetState {
            store: store.to_owned(),
            key: key.to_owned(),
            consistency: Consistency::default(),
            metadata: Metadata::new(),
        };
        let item = self.runtime()?.call(&context(caller, Front::Grpc), operation).await;
        let item = item.map_err(|error| refused(&error))?;
        Ok(item.data.map(|value| StateItem { value, etag: item.etag }))
    }

    async fn change_state(
        &self,
        caller: &Caller,
        store: &str,
        changes: Vec<StateChange>,
        is_transaction: bool,
    ) -> Result<(), CallError> {
        let (runtime, context) = (self.runtime()?, context(caller, Front::Grpc));
        if is_transaction {
            let operations = changes.into_iter().map(|change| match change {
                StateChange::Set { key, value, etag, metadata } => {
                    TransactionOp::Upsert(save_item(key, value, etag, metadata))
                }
                StateChange::Create { key, value, metadata } => TransactionOp::Upsert(new_item(key, value, metadata)),
                StateChange::Delete { key, etag, metadata } => {
                    TransactionOp::Delete(DeleteItem { key, options: options(etag.as_ref()), etag, metadata })
                }
            });
            let operation = ExecuteStateTransaction {
                store: store.to_owned(),
                operations: operations.collect(),
                metadata: Metadata::new(),
            };
            return runtime.call(&context, operation).await.map_err(|error| refused(&error));
        }
        for change in changes {
            let outcome = match change {
                StateChange::Set { key, value, etag, metadata } => {
                    let items = vec![save_item(key, value, etag, metadata)];
                    runtime.call(&context, SaveState { store: store.to_owned(), items }).await
                }
                StateChange::Create { key, value, metadata } => {
                    let items = vec![new_item(key, value, metadata)];
                    runtime.call(&context, SaveState { store: store.to_owned(), items }).await
                }
                StateChange::Delete { key, etag, metadata } => {
                    let item = DeleteItem { key, options: options(etag.as_ref()), etag, metadata };
                    runtime.call(&context, DeleteState { store: store.to_owned(), item }).await
                }
            };
            outcome.map_err(|error| refused(&error))?;
        }
        Ok(())
    }

    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        let Event { pubsub, topic, data, content_type, metadata } = event;
        let operation = PublishEvent { pubsub, topic, data, content_type: content_type.unwrap_or_default(), metadata };
        self.runtime()?.call(&context(caller, Front::Grpc), operation).await.map_err(|error| refused(&error))
    }

    async fn secret(&self, caller: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        let operation = GetSecret { store: store.to_owned(), key: name.to_owned(), metadata: Metadata::new() };
        let secret = self.runtime()?.call(&context(caller, Front::Grpc), operation).await;
        let secret = secret.map_err(|error| refused(&error))?;
        Ok(secret.into_iter().map(|(key, value)| (key, Secret::new(value))).collect())
    }

    /// A function of this process is called as it is, anything else as an application.
    async fn invoke(
        &self,
        caller: &Caller,
        id: &str,
        request: Request<wasm_host::body::Body>,
    ) -> Result<Response<wasm_host::body::Body>, CallError> {
        let request = request.map(from_guest);
        if let Some(functions) = Functions::upgrade(&self.functions) {
            let table = functions.table();
            if let Some(slot) = table.by_id(id, request.method(), request.uri().path()) {
                let trace = span(caller);
                let origin = CallOrigin { cause: Cause::Function, depth: caller.depth + 1, trace: trace.as_ref() };
                // A function that calls itself would be a future that holds itself.
                let response = Box::pin(functions.request(slot, origin, request)).await;
                return response.map(|response| response.map(to_guest)).map_err(|error| refused(&error));
            }
        }
        let (mut parts, body) = request.into_parts();
        let content_type = parts.headers.remove(http::header::CONTENT_TYPE);
        let head = CallHead {
            method: parts.uri.path().trim_start_matches('/').to_owned(),
            verb: Some(Verb::of(&parts.method)),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            content_type,
            type_url: String::new(),
            origin: Front::Http,
        };
        let is_stream = !body.is_at_hand();
        let operation = InvokeApp { target: id.to_owned(), call: AppCall { head, body, is_stream } };
        let reply = self.runtime()?.call(&context(caller, Front::Http), operation).await;
        let reply = reply.map_err(|error| refused(&error))?;
        let content_type = reply.effective_content_type();
        let mut response = Response::new(to_guest(reply.body));
        *response.status_mut() = match reply.status {
            ReplyStatus::Http(status) => status,
            ReplyStatus::Grpc(grpc) => status::http_of(tonic::Code::from(grpc.code)),
        };
        *response.headers_mut() = reply.headers;
        if let Some(content_type) = content_type {
            response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
        }
        Ok(response)
    }

    async fn bind(&self, caller: &Caller, call: Binding) -> Result<(Bytes, Metadata), CallError> {
        let Binding { name, operation, data, metadata } = call;
        let operation = InvokeBinding { name, operation, data, metadata };
        let reply = self.runtime()?.call(&context(caller, Front::Grpc), operation).await;
        let reply = reply.map_err(|error| refused(&error))?;
        Ok(reply.map(|reply| (reply.data, reply.metadata)).unwrap_or_default())
    }

    /// Redirects are the function's to follow: where they lead may not be granted.
    async fn send(
        &self,
        caller: &Caller,
        request: Request<wasm_host::body::Body>,
    ) -> Result<Response<wasm_host::body::Body>, CallError> {
        let mut request = request.map(from_guest);
        let pool = self.pool(&request)?;
        let path = request.uri().path_and_query().cloned();
        let shown = request.uri().to_string();
        *request.uri_mut() = path.map(http::Uri::from).unwrap_or_default();
        if let Some((parent, state)) = &caller.trace {
            for (name, value) in [("traceparent", parent), ("tracestate", state)] {
                if let Some(value) = http::HeaderValue::from_str(value).ok().filter(|value| !value.is_empty()) {
                    request.headers_mut().entry(name).or_insert(value);
                }
            }
        }
        let response = pool.send(request).await.map_err(|error| CallError::Unavailable(format!("{shown}: {error}")))?;
        Ok(response.map(to_guest))
    }
}

/// Counts and logs what a function was refused.
pub struct Watched {
    pub sidecar: Arc<dyn Sidecar>,
    pub slot: Weak<Slot>,
    pub(crate) functions: Weak<Inner>,
}

impl Watched {
    fn seen<T>(&self, outcome: Result<T, CallError>) -> Result<T, CallError> {
        if let Err(CallError::Denied { .. }) = &outcome
            && let Some(slot) = self.slot.upgrade()
        {
            slot.stats.denied.fetch_add(1, Ordering::Relaxed);
            if let Some(functions) = Functions::upgrade(&self.functions) {
                functions.shared().metrics.function_denied(slot.name());
            }
        }
        outcome
    }
}

#[async_trait]
impl Sidecar for Watched {
    async fn get_state(&self, caller: &Caller, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        self.seen(self.sidecar.get_state(caller, store, key).await)
    }

    async fn change_state(
        &self,
        caller: &Caller,
        store: &str,
        changes: Vec<StateChange>,
        is_transaction: bool,
    ) -> Result<(), CallError> {
        self.seen(self.sidecar.change_state(caller, store, changes, is_transaction).await)
    }

    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        self.seen(self.sidecar.publish(caller, event).await)
    }

    async fn secret(&self, caller: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        self.seen(self.sidecar.secret(caller, store, name).await)
    }

    async fn invoke(
        &self,
        caller: &Caller,
        id: &str,
        request: Request<wasm_host::body::Body>,
    ) -> Result<Response<wasm_host::body::Body>, CallError> {
        self.seen(self.sidecar.invoke(caller, id, request).await)
    }

    async fn bind(&self, caller: &Caller, call: Binding) -> Result<(Bytes, Metadata), CallError> {
        self.seen(self.sidecar.bind(caller, call).await)
    }

    async fn send(
        &self,
        caller: &Caller,
        request: Request<wasm_host::body::Body>,
    ) -> Result<Response<wasm_host::body::Body>, CallError> {
        self.seen(self.sidecar.send(caller, request).await)
    }
}
