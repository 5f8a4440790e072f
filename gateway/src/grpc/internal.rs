//! The internal port: calls of other sidecars for the application of this one (as daprd 1.18,
//! `dapr.proto.internals.v1.ServiceInvocation`).
//!
//! Three forms of one call come in: relayed by another Ottavo, as a stream of messages or as one message from a daprd.
//! All go through [`InvokeBlock::serve`](crate::blocks::invoke::InvokeBlock::serve). Any other service is relayed to the
//! application.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, Request, Response, request};
use prost_types::Any;
use proto_dapr::internals::{InternalInvokeRequest, InternalInvokeRequestStream, InternalInvokeResponseStream};
use tonic::Status;

use super::reflection::Reflection;
use super::{Context, frame, proxy, status};
use crate::blocks::absent;
use crate::blocks::access_control::Caller;
use crate::blocks::invoke::chunks::{Piece, Receiving, Sending};
use crate::blocks::invoke::peer::relay;
use crate::blocks::invoke::{AppCall, AppReply, wire};
use crate::body::{Body, collect};
use crate::client::grpc::{self, Messages};
use crate::operation::{CallContext, Front};
use crate::runtime::Runtime;
use crate::server::ServeConnection;
use crate::telemetry::trace::{Span, SpanContext, SpanKind, Status as SpanStatus};

const SERVICE: &str = "/dapr.proto.internals.v1.ServiceInvocation/";

/// The internal port's services. Cheap to clone.
#[derive(Clone)]
pub struct InternalApi {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    /// The most bytes of one message.
    limit: usize,
    reflection: Reflection,
}

impl ServeConnection for InternalApi {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        self.call(request).await
    }
}

impl InternalApi {
    /// `limit`: the most bytes of one message.
    pub fn new(runtime: Runtime, limit: usize) -> Self {
        Self { inner: Arc::new(Inner { runtime, limit, reflection: Reflection::default() }) }
    }

    /// Answers one call. Who calls stands in the request's extensions, as a [`Caller`], where TLS has told.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        if relay::is_relayed(request.uri(), request.headers()) {
            return self.relayed(request).await;
        }
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        match path.strip_prefix(SERVICE) {
            Some("CallLocalStream") => self.stream(parts, body).await.unwrap_or_else(|error| frame::status(&error)),
            Some("CallLocal") => self.unary(parts, body).await.unwrap_or_else(|error| frame::status(&error)),
            Some("CallActor" | "CallActorReminder" | "CallActorStream") => {
                frame::status(&status::status(&absent::placement()))
            }
            _ if path.starts_with("/grpc.reflection.v1") => self.inner.reflection.call(parts, body).await,
            _ => self.any_service(parts, body).await,
        }
    }

    /// A call that another Ottavo relays.
    async fn relayed(&self, mut request: Request<Body>) -> Response<Body> {
        let caller = request.extensions_mut().remove::<Caller>();
        let span = self.span(request.headers());
        let Some(call) = relay::received(request) else { return relay::yes() };
        // On the heap, so that the layers outside do not move it.
        match Box::pin(self.serve(call, caller.as_ref(), span)).await {
            Ok(reply) => relay::response(reply),
            Err(error) => relay::failure(&error),
        }
    }

    /// `CallLocalStream`: bodies in pieces.
    async fn stream(&self, mut parts: request::Parts, body: Body) -> Result<Response<Body>, Status> {
        let caller = parts.extensions.remove::<Caller>();
        let span = self.span(&parts.headers);
        let mut messages = Messages::new(body, self.inner.limit);
        let incomplete = || unreadable("request does not contain the required fields in the leading chunk");
        let mut first: InternalInvokeRequestStream = messages.next().await?.ok_or_else(|| Status::unknown("EOF"))?;
        let request = first.request.take().filter(|request| request.message.is_some()).ok_or_else(incomplete)?;
        let payload = first.payload();
        let (head, _, length) = wire::head(request);
        let body = Body::stream(Receiving::<InternalInvokeRequestStream>::new(messages, payload, length, false));
        let call = AppCall { head, body, is_stream: length.is_none() };
        let mut reply = self.serve(call, caller.as_ref(), span).await?;
        let body = std::mem::take(&mut reply.body);
        let opening = InternalInvokeResponseStream { response: Some(wire::response(&reply)), payload: None };
        let opening = grpc::frame(&opening, self.inner.limit)?;
        let mut response = Response::new(Body::stream(Sending::response(opening, body)));
        let grpc_type = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert(http::header::CONTENT_TYPE, grpc_type);
        Ok(response)
    }

    /// `CallLocal`: all in one message.
    async fn unary(&self, mut parts: request::Parts, body: Body) -> Result<Response<Body>, Status> {
        let caller = parts.extensions.remove::<Caller>();
        let span = self.span(&parts.headers);
        let limit = self.inner.limit;
        let request: InternalInvokeRequest = frame::read(&parts.headers, body, limit).await?;
        if request.message.is_none() {
            return Err(unreadable("field Message is nil"));
        }
        let (head, data, _) = wire::head(request);
        let call = AppCall { head, body: Body::full(data), is_stream: false };
        let mut reply = self.serve(call, caller.as_ref(), span).await?;
        let data = collect(std::mem::take(&mut reply.body), limit)
            .await
            .map_err(|error| Status::unknown(error.to_string()))?;
        let mut response = wire::response(&reply);
        if let Some(message) = &mut response.message {
            message.data = Some(Any { type_url: reply.type_url.clone(), value: data.into() });
        }
        Ok(frame::reply(&response, HeaderMap::new(), limit))
    }

    async fn serve(&self, call: AppCall, caller: Option<&Caller>, span: Option<Span>) -> Result<AppReply, Status> {
        let Some(mut span) = span else { return self.inner.runtime.invoke.serve(call, caller, None).await };
        if span.is_recording() {
            span.set_name(format!("CallLocal/{}/{}", self.inner.runtime.shared.app_id, call.head.method));
            span.set_attribute("rpc.service", "ServiceInvocation");
        }
        let trace = span.context().clone();
        let outcome = self.inner.runtime.invoke.serve(call, caller, Some(&trace)).await;
        if let Err(error) = &outcome {
            span.set_status(SpanStatus::Error(crate::error::go_code_name(error.code()).to_owned()));
        }
        outcome
    }

    /// A gRPC service that is not Dapr's: the application's own.
    async fn any_service(&self, parts: request::Parts, body: Body) -> Response<Body> {
        let span = self.span(&parts.headers);
        let call =
            CallContext { trace: span.as_ref().map(|span| span.context().clone()), ..CallContext::new(Front::Grpc) };
        let context = Context { runtime: self.inner.runtime.clone(), call, headers: Arc::default() };
        proxy::proxy(context, parts, body).await
    }

    /// The span of a call; its parent is the caller's. `None` when tracing is off.
    fn span(&self, headers: &HeaderMap) -> Option<Span> {
        let tracer = &self.inner.runtime.shared.tracer;
        (!tracer.is_off()).then(|| tracer.span("CallLocal", SpanKind::Server, parent(headers).as_ref()))
    }
}

/// The binary form goes before the text.
fn parent(headers: &HeaderMap) -> Option<SpanContext> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let binary = text("grpc-trace-bin").and_then(|text| {
        let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        SpanContext::from_binary(&bytes)
    });
    binary.or_else(|| SpanContext::from_headers(text("traceparent"), text("tracestate")))
}

fn unreadable(reason: &str) -> Status {
    Status::invalid_argument(format!("parsing InternalInvokeRequest error: {reason}"))
}
