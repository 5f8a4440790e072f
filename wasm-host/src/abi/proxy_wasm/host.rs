//! What a guest can reach: answered by the gateway, or by a test.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use components::metadata::Secret;
use tokio::sync::mpsc;

use super::map::Pairs;
use crate::sidecar::{Binding, Event};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The module's name.
    pub guest: String,
    /// The plugin's name.
    pub plugin: String,
    /// How many functions have called each other up to this one.
    pub depth: u32,
    /// `traceparent` and `tracestate` of what the guest works on.
    pub trace: Option<(String, String)>,
}

/// Why a call had no answer; its text goes into the log, guests only learn that it failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CallError(pub String);

/// A request that a guest sends (`proxy_http_call`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpCall {
    pub upstream: String,
    /// With `:method`, `:path` and `:authority`.
    pub headers: Pairs,
    pub body: Bytes,
    pub trailers: Pairs,
    pub timeout: Duration,
}

/// Its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HttpReply {
    /// With `:status`.
    pub headers: Pairs,
    pub body: Bytes,
    pub trailers: Pairs,
}

/// A gRPC call that a guest makes (`proxy_grpc_call`, `proxy_grpc_stream`).
#[derive(Debug)]
pub struct GrpcCall {
    pub upstream: String,
    pub service: String,
    pub method: String,
    pub metadata: Pairs,
    /// What the guest sends; it ends when the guest closes its side or gives up the call.
    pub messages: mpsc::Receiver<Bytes>,
    /// Where what comes back goes.
    pub events: mpsc::Sender<GrpcEvent>,
    /// `None` for streams.
    pub timeout: Option<Duration>,
}

/// What comes back from a gRPC call; [`GrpcEvent::Close`] is the last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrpcEvent {
    InitialMetadata(Pairs),
    Message(Bytes),
    TrailingMetadata(Pairs),
    Close { code: u32, message: String },
}

/// The world outside of a guest. Every method that is not implemented says no.
#[async_trait]
pub trait ProxyHost: Send + Sync {
    /// `proxy_get_state` of Layotto. `None`: there is no such key.
    async fn get_state(&self, caller: &Caller, store: &str, key: &str) -> Result<Option<Bytes>, CallError> {
        let _ = (caller, key);
        Err(CallError(format!("the state store '{store}' is not granted")))
    }

    /// `proxy_set_state`: saves the value of a key.
    async fn set_state(&self, caller: &Caller, store: &str, key: &str, value: Bytes) -> Result<(), CallError> {
        let _ = (caller, key, value);
        Err(CallError(format!("the state store '{store}' is not granted")))
    }

    /// `proxy_delete_state`; a key that is not there is no error.
    async fn delete_state(&self, caller: &Caller, store: &str, key: &str) -> Result<(), CallError> {
        let _ = (caller, key);
        Err(CallError(format!("the state store '{store}' is not granted")))
    }

    /// `proxy_publish_event`.
    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        let _ = caller;
        Err(CallError(format!("the topic '{}' of '{}' is not granted", event.topic, event.pubsub)))
    }

    /// `proxy_get_secret`: a secret by its keys.
    async fn secret(&self, caller: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        let _ = caller;
        Err(CallError(format!("the secret '{name}' of '{store}' is not granted")))
    }

    /// `proxy_invoke_binding`: what the binding answers.
    async fn invoke_binding(&self, caller: &Caller, call: Binding) -> Result<Bytes, CallError> {
        let _ = caller;
        Err(CallError(format!("the binding '{}' is not granted", call.name)))
    }

    /// `proxy_invoke_service` of Layotto: another function, or an application.
    async fn invoke_service(
        &self,
        caller: &Caller,
        id: &str,
        method: &str,
        parameter: Bytes,
    ) -> Result<Bytes, CallError> {
        let _ = (caller, method, parameter);
        Err(CallError(format!("the service '{id}' is not granted")))
    }

    /// Whether requests may go to `upstream`.
    fn has_upstream(&self, caller: &Caller, upstream: &str) -> bool {
        let _ = (caller, upstream);
        false
    }

    /// What would let requests go to `upstream` that [`ProxyHost::has_upstream`] does not know, for the log.
    fn missing_upstream(&self, upstream: &str) -> Option<String> {
        let _ = upstream;
        None
    }

    /// Sends a request; only to what [`ProxyHost::has_upstream`] knows. The timeout is seen to.
    async fn http_call(&self, caller: &Caller, call: HttpCall) -> Result<HttpReply, CallError> {
        let _ = caller;
        Err(CallError(format!("the upstream '{}' is not granted", call.upstream)))
    }

    /// Makes a gRPC call until its events end; only to what [`ProxyHost::has_upstream`] knows.
    async fn grpc_call(&self, caller: &Caller, call: GrpcCall) {
        let _ = caller;
        let message = format!("the upstream '{}' is not granted", call.upstream);
        let _ = call.events.send(GrpcEvent::Close { code: 7, message }).await;
    }

    /// A property of the host; those of the stream are known without it. Encoded as in Envoy: text as it is, numbers as
    /// eight bytes, little endian.
    fn property(&self, caller: &Caller, path: &[&str]) -> Option<Vec<u8>> {
        let _ = (caller, path);
        None
    }

    /// `proxy_call_foreign_function`. `None`: there is none of this name.
    async fn foreign(&self, caller: &Caller, name: &str, arguments: Bytes) -> Option<Result<Bytes, CallError>> {
        let _ = (caller, name, arguments);
        None
    }
}

/// A world with nothing in it.
pub struct NoHost;

impl ProxyHost for NoHost {}
