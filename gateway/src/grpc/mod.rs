//! The gRPC front: messages to operations, replies to messages. Unknown services go to the proxy.

use std::sync::Arc;

use http::{HeaderMap, Request, Response};

use crate::body::Body;
use crate::catalog::Access;
use crate::operation::{CallContext, Front};
use crate::runtime::Runtime;

mod absent;
mod bindings;
mod check;
pub mod frame;
pub mod internal;
mod invoke;
mod proxy;
mod pubsub;
mod reflection;
mod secrets;
mod service;
mod sidecar;
mod state;
pub mod status;
mod streaming;
pub mod unary;

/// The API port's services.
#[derive(Clone)]
pub struct GrpcApi {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    access: Access,
    /// The most bytes of one message, in and out.
    limit: usize,
    reflection: Reflection,
}

/// What a handler sees beside its request.
#[derive(Clone)]
pub struct Context {
    pub runtime: Runtime,
    pub call: CallContext,
    /// The call's metadata.
    pub headers: Arc<HeaderMap>,
}

impl Context {
    fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = Arc::new(headers);
        self
    }
}

/// A call whose method is known.
pub struct Call {
    pub context: Context,
    pub headers: HeaderMap,
    pub body: Body,
    pub limit: usize,
}

impl GrpcApi {
    /// `limit`: the most bytes of one message.
    pub fn new(runtime: Runtime, access: Access, limit: usize) -> Self {
        Self { inner: Arc::new(Inner { runtime, access, limit, reflection: Reflection::default() }) }
    }

    /// Answers one call.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        if let Some(refusal) = check::refusal(&parts) {
            return refusal;
        }
        let content_type = parts.headers.get(http::header::CONTENT_TYPE).cloned();
        let call = parts.extensions.remove::<CallContext>().unwrap_or_else(|| CallContext::new(Front::Grpc));
        let context = Context { runtime: self.inner.runtime.clone(), call, headers: Arc::default() };
        // On the heap: the layers outside hold, and move, a pointer in place of the largest of all methods.
        let mut response = Box::pin(service::dispatch(&self.inner, parts, body, context)).await;
        if let Some(content_type) = content_type {
            check::echo_content_type(&content_type, &mut response);
        }
        response
    }
}

use reflection::Reflection;
