//! Calls of an application behind a daprd: `CallLocalStream`, and `CallLocal` for one that is too old for it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use prost_types::Any;
use proto_dapr::internals::{InternalInvokeRequestStream, InternalInvokeResponse, InternalInvokeResponseStream};
use tonic::{Code, Status};

use super::super::call::{AppReply, CallHead};
use super::super::chunks::{Piece, Receiving, Sending};
use super::super::replay::Source;
use super::super::{headers, wire};
use super::PeerError;
use crate::body::Body;
use crate::client::grpc::{self, GrpcClient, Messages};
use crate::client::http2::{Http2Pool, Lease};
use crate::telemetry::trace::SpanContext;

const CALL_LOCAL_STREAM: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocalStream";
const CALL_LOCAL: &str = "/dapr.proto.internals.v1.ServiceInvocation/CallLocal";

pub(super) async fn call(
    pool: &Http2Pool,
    lease: Lease,
    app_id: &str,
    head: &CallHead,
    source: &Source,
    trace: Option<&SpanContext>,
    limit: usize,
) -> Result<AppReply, PeerError> {
    let body = source.open();
    let request = wire::request(head, body.size_hint().exact());
    let opening = InternalInvokeRequestStream { request: Some(request), payload: None };
    let sending = Body::stream(Sending::request(grpc::frame(&opening, limit)?, body));
    let (parts, body) = grpc::request(CALL_LOCAL_STREAM, metadata(trace), sending)?.into_parts();
    let response = pool.send_over(lease, parts, body).await?;
    let (parts, body) = response.into_parts();
    if let Some(status) = grpc::unexpected(parts.status, &parts.headers) {
        return Err(status.into());
    }
    let mut messages = Messages::new(body, limit);
    let Some(mut first) = messages.next::<InternalInvokeResponseStream>().await? else {
        let status = grpc::status_in(&parts.headers, messages.trailers());
        if status.code() != Code::Unimplemented {
            return Err(status.into());
        }
        return unary(pool, app_id, head, source, trace, limit).await;
    };
    let incomplete = || without_status("response does not contain the required fields in the leading chunk");
    let response = first.response.take().ok_or_else(incomplete)?;
    let mut reply = wire::reply(response).ok_or_else(incomplete)?;
    let payload = first.payload();
    reply.body = Body::stream(Receiving::<InternalInvokeResponseStream>::new(messages, payload, None, true));
    Ok(reply)
}

/// The whole call in one message, when there is a whole body.
async fn unary(
    pool: &Http2Pool,
    app_id: &str,
    head: &CallHead,
    source: &Source,
    trace: Option<&SpanContext>,
    limit: usize,
) -> Result<AppReply, PeerError> {
    let Source::Kept(bytes) = source else {
        return Err(without_status(&format!(
            "target app '{app_id}' is running a version of Dapr that does not support streaming-based service invocation"
        )));
    };
    tracing::warn!(
        target: "dapr.runtime.direct_messaging",
        "App {app_id} does not support streaming-based service invocation (most likely because it's using an older version of Dapr); falling back to unary calls"
    );
    let mut request = wire::request(head, Some(bytes.len() as u64));
    if let Some(message) = &mut request.message {
        message.data = Some(Any { type_url: head.type_url.clone(), value: bytes.to_vec() });
    }
    let client = GrpcClient::new(pool.clone(), limit);
    let outcome = client.unary::<_, InternalInvokeResponse>(CALL_LOCAL, &request, metadata(trace), None).await;
    let reply = outcome.map_err(|failure| PeerError {
        status: failure.status,
        is_unprocessed: failure.is_unprocessed,
        text: None,
    })?;
    wire::reply(reply.message).ok_or_else(|| without_status("the answer has no status"))
}

/// The span, as daprd looks for it in a call's metadata.
fn metadata(trace: Option<&SpanContext>) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    headers::put_trace_http(&mut metadata, trace);
    if let Some(binary) = trace.and_then(SpanContext::to_binary)
        && let Ok(value) = HeaderValue::from_str(&STANDARD_NO_PAD.encode(binary))
    {
        metadata.insert("grpc-trace-bin", value);
    }
    metadata
}

fn without_status(text: &str) -> PeerError {
    PeerError { status: Status::unknown(text), is_unprocessed: false, text: Some(text.to_owned()) }
}
