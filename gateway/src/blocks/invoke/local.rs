//! Calls of the own application: for callers next door, and for other sidecars.

use bytes::Bytes;
use http::{HeaderMap, Request};
use prost_types::Any;
use proto_dapr::common::{HttpExtension, InvokeRequest};
use tonic::Code;

use super::call::{AppCall, AppReply, CallHead, GrpcStatus, ReplyStatus, Verb};
use super::headers;
use crate::app::{AppChannel, AppError, url};
use crate::body::{Body, collect};
use crate::telemetry::trace::SpanContext;

/// Calls the application. `trace`: the span to name, when tracing is on.
pub async fn call(channel: &AppChannel, call: AppCall, trace: Option<&SpanContext>) -> Result<AppReply, AppError> {
    if channel.is_grpc() { over_grpc(channel, call, trace).await } else { over_http(channel, call, trace).await }
}

/// The verb, when it is one that can be sent over HTTP.
pub(super) fn http_verb(head: &CallHead) -> Result<Verb, AppError> {
    match head.verb {
        None => Err(AppError::status(Code::InvalidArgument, "missing HTTP extension field")),
        Some(Verb::NONE | Verb::CONNECT) => Err(AppError::status(Code::InvalidArgument, "invalid HTTP verb")),
        Some(verb) => Ok(verb),
    }
}

async fn over_http(channel: &AppChannel, call: AppCall, trace: Option<&SpanContext>) -> Result<AppReply, AppError> {
    let AppCall { head, body, .. } = call;
    let verb = http_verb(&head)?;
    let target = url::target("", method_path(&head.method), &head.query).map_err(|error| {
        let base = channel.base_url();
        AppError::new(format!("parse \"{base}{}\": {error}", shown(&head)))
    })?;
    let request = http_request(head, verb, target.into(), body, trace);
    let response = channel.invoke(request).await?;
    Ok(http_reply(response))
}

/// Path and query as they stand in daprd's messages.
pub(super) fn shown(head: &CallHead) -> String {
    let method = method_path(&head.method);
    let slash = if method.is_empty() || method.starts_with('/') { "" } else { "/" };
    let question = if head.query.is_empty() { "" } else { "?" };
    format!("{slash}{method}{question}{}", head.query)
}

fn method_path(method: &str) -> &str {
    if method == "." { "" } else { method }
}

/// A request for an HTTP application or endpoint.
pub(super) fn http_request(
    head: CallHead,
    verb: Verb,
    uri: http::Uri,
    body: Body,
    trace: Option<&SpanContext>,
) -> Request<Body> {
    let content_type = head.effective_content_type();
    let mut headers = head.headers;
    headers::for_http(&mut headers);
    headers::put_trace_http(&mut headers, trace);
    if let Some(content_type) = content_type {
        headers.insert(http::header::CONTENT_TYPE, content_type);
    }
    let mut request = Request::new(body);
    *request.method_mut() = verb.method();
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// A request for a function; without a verb it is a POST.
pub(super) fn function_request(call: AppCall, trace: Option<&SpanContext>) -> Result<Request<Body>, AppError> {
    let AppCall { head, body, .. } = call;
    let verb = http_verb(&head).unwrap_or(Verb::of(&http::Method::POST));
    let target =
        url::target("", method_path(&head.method), &head.query).map_err(|error| AppError::new(error.to_string()))?;
    Ok(http_request(head, verb, target.into(), body, trace))
}

/// An HTTP answer as the answer of a call.
pub(super) fn http_reply(response: http::Response<Body>) -> AppReply {
    let (mut parts, body) = response.into_parts();
    let content_type = parts.headers.remove(http::header::CONTENT_TYPE);
    AppReply {
        status: ReplyStatus::Http(parts.status),
        headers: parts.headers,
        trailers: HeaderMap::new(),
        content_type,
        type_url: String::new(),
        body,
    }
}

async fn over_grpc(channel: &AppChannel, call: AppCall, trace: Option<&SpanContext>) -> Result<AppReply, AppError> {
    let AppCall { mut head, body, .. } = call;
    let limit = channel.settings().max_body_size;
    let value = collect(body, limit).await.map_err(|error| AppError::new(error.to_string()))?;
    let mut metadata = headers::for_grpc(std::mem::take(&mut head.headers), head.origin);
    headers::put_trace_grpc(&mut metadata, trace);
    let message = invoke_request(head, value);
    let (status, metadata, trailers, reply) = match channel.on_invoke(&message, metadata).await? {
        Ok(reply) => (GrpcStatus::default(), reply.headers, reply.trailers, reply.message),
        Err(failure) => (grpc_status(&failure.status), failure.headers, failure.trailers, Default::default()),
    };
    let data = reply.data.unwrap_or_default();
    Ok(AppReply {
        status: ReplyStatus::Grpc(status),
        headers: without_transport(metadata),
        trailers: without_transport(trailers),
        content_type: http::HeaderValue::from_bytes(reply.content_type.as_bytes())
            .ok()
            .filter(|value| !value.is_empty()),
        type_url: data.type_url,
        body: Body::full(data.value),
    })
}

/// A call as the message of `OnInvoke`.
pub fn invoke_request(head: CallHead, value: Bytes) -> InvokeRequest {
    let content_type = head.effective_content_type();
    InvokeRequest {
        method: head.method,
        data: Some(Any { type_url: head.type_url, value: value.into() }),
        content_type: content_type
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
        http_extension: head.verb.map(|verb| HttpExtension { verb: verb.0, querystring: head.query }),
    }
}

/// A status with its details, as far as they can be read.
pub fn grpc_status(status: &tonic::Status) -> GrpcStatus {
    let details = prost::Message::decode(status.details())
        .map(|packed: proto_dapr::google_rpc::Status| packed.details)
        .unwrap_or_default();
    GrpcStatus { code: status.code() as i32, message: status.message().to_owned(), details }
}

/// Metadata without what belongs to the transport of one call.
fn without_transport(mut headers: HeaderMap) -> HeaderMap {
    for name in ["grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "content-length"] {
        headers.remove(name);
    }
    headers
}
