//! `InvokeService` of the Dapr service (as daprd 1.18; deprecated there in favour of proxied calls).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, request};
use http_body::{Body as _, Frame};
use http_body_util::StreamBody;
use prost::Message;
use prost_types::Any;
use proto_dapr::common::{InvokeRequest, InvokeResponse};
use proto_dapr::runtime::InvokeServiceRequest;
use tonic::{Code, Status};

use super::{Context, frame, status, unary};
use crate::blocks::invoke::{
    AppCall, AppReply, CallHead, GrpcStatus, InvokeApp, ReplyStatus, Verb, headers, status as mapping,
};
use crate::body::{Body, BodyError, collect};
use crate::error::table;
use crate::layers::NoTraceHeader;
use crate::operation::Front;

/// The most of an application's error that goes into the details: 63 bytes.
const MAX_DETAIL: usize = 63;

/// Answers one call. The answer to a call that the application has failed carries the application's headers, too.
pub async fn invoke_service(context: Context, parts: request::Parts, body: Body, limit: usize) -> Response<Body> {
    // The front has refused a deadline that is none.
    let deadline = unary::timeout(&parts.headers).ok().flatten();
    unary::within(deadline, answer_one(context, parts, body, limit)).await
}

async fn answer_one(context: Context, mut parts: request::Parts, body: Body, limit: usize) -> Response<Body> {
    let request = match frame::read::<InvokeServiceRequest>(&parts.headers, body, limit).await {
        Ok(request) => request,
        Err(error) => return frame::status(&error),
    };
    let authority = parts.uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let metadata = metadata(std::mem::take(&mut parts.headers), authority);
    let asked = request.encoded_len() as u64;
    let InvokeServiceRequest { id, message } = request;
    let operation = InvokeApp { target: id.clone(), call: call(message.unwrap_or_default(), metadata) };
    let answering = async {
        let reply = context.runtime.call(&context.call, operation).await.map_err(|error| {
            context.runtime.count_error(&error);
            status::status(&error)
        })?;
        answer(&context, &id, reply, limit).await
    };
    let mut response = answering.await.unwrap_or_else(|error: Status| frame::status(&error));
    // Five bytes in front of a message are gRPC's own.
    let answered = response.body().size_hint().lower().saturating_sub(5);
    response.extensions_mut().insert(frame::Sizes { request: asked, response: answered });
    response.extensions_mut().insert(NoTraceHeader);
    response
}

/// The call's metadata without what belongs to its transport.
fn metadata(mut headers: HeaderMap, authority: Option<HeaderValue>) -> HeaderMap {
    for name in ["content-type", "content-length", "te", "grpc-timeout", "grpc-encoding", "grpc-message-type"] {
        headers.remove(name);
    }
    if let Some(authority) = authority {
        headers.insert(headers::AUTHORITY, authority);
    }
    headers
}

fn call(message: InvokeRequest, headers: HeaderMap) -> AppCall {
    let data = message.data.unwrap_or_default();
    let head = CallHead {
        method: message.method,
        verb: message.http_extension.as_ref().map(|extension| Verb(extension.verb)),
        query: message.http_extension.map(|extension| extension.querystring).unwrap_or_default(),
        headers,
        content_type: HeaderValue::from_bytes(message.content_type.as_bytes()).ok().filter(|value| !value.is_empty()),
        type_url: data.type_url,
        origin: Front::Grpc,
    };
    AppCall { head, body: Body::full(data.value), is_stream: false }
}

async fn answer(context: &Context, target: &str, reply: AppReply, limit: usize) -> Result<Response<Body>, Status> {
    let AppReply { status, headers: given, trailers, content_type, type_url, body } = reply;
    let data = collect(body, limit)
        .await
        .map_err(|error| status::status(&table::invoke::failed(target, &error.to_string())))?;
    let origin = match status {
        ReplyStatus::Http(_) => Front::Http,
        ReplyStatus::Grpc(_) => Front::Grpc,
    };
    let has_trace = given.contains_key("traceparent");
    let mut metadata = headers::for_grpc(given, origin);
    if !has_trace {
        headers::put_trace_grpc(&mut metadata, context.call.trace.as_ref());
    }
    if let (Some(content_type), Front::Http) = (&content_type, origin) {
        metadata.insert("dapr-content-type", content_type.clone());
    }
    let failure = match status {
        ReplyStatus::Http(status) => {
            metadata.insert("dapr-http-status", HeaderValue::from(status.as_u16()));
            http_failure(status, &data)
        }
        ReplyStatus::Grpc(status) => grpc_failure(status),
    };
    if let Some(failure) = failure {
        return Ok(failed(&failure, metadata, trailers));
    }
    let message = InvokeResponse {
        data: Some(Any { type_url, value: data.into() }),
        content_type: content_type
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .unwrap_or_default(),
    };
    Ok(if trailers.is_empty() {
        frame::reply(&message, metadata, limit)
    } else {
        let bytes = crate::client::grpc::frame(&message, limit)?;
        with_trailers(Some(bytes), metadata, &Status::ok(""), trailers)
    })
}

/// The status for an HTTP application's answer that is no success.
fn http_failure(status: http::StatusCode, body: &Bytes) -> Option<Status> {
    let code = mapping::grpc_of(status);
    if code == Code::Ok {
        return None;
    }
    let reason = mapping::go_status_text(status);
    let shown = String::from_utf8_lossy(&body[..body.len().min(MAX_DETAIL)]).into_owned();
    let metadata = [("http.code".to_owned(), status.as_u16().to_string()), ("http.error_message".to_owned(), shown)];
    Some(status::with_details(code, reason, vec![status::error_info(reason, metadata)]))
}

fn grpc_failure(status: GrpcStatus) -> Option<Status> {
    let code = Code::from(status.code);
    (code != Code::Ok).then(|| status::with_details(code, &status.message, status.details))
}

/// A failure behind headers.
fn failed(status: &Status, headers: HeaderMap, trailers: HeaderMap) -> Response<Body> {
    with_trailers(None, headers, status, trailers)
}

fn with_trailers(
    message: Option<Bytes>,
    headers: HeaderMap,
    status: &Status,
    mut trailers: HeaderMap,
) -> Response<Body> {
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from(status.code() as i32));
    }
    let frames = message.map(Frame::data).into_iter().chain([Frame::trailers(trailers)]).map(Ok::<_, BodyError>);
    let mut response = Response::new(Body::stream(StreamBody::new(tokio_stream::iter(frames.collect::<Vec<_>>()))));
    *response.headers_mut() = headers;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_of_http_applications_tell_status_and_body() {
        assert!(http_failure(http::StatusCode::CREATED, &Bytes::new()).is_none());
        let status = http_failure(http::StatusCode::IM_A_TEAPOT, &Bytes::from(vec![b'x'; 100])).unwrap();
        assert_eq!((status.code(), status.message()), (Code::Unknown, "I'm a teapot"));
        assert!(String::from_utf8_lossy(status.details()).contains(&"x".repeat(63)));
        assert!(!String::from_utf8_lossy(status.details()).contains(&"x".repeat(64)));
    }

    #[test]
    fn the_transports_own_metadata_goes() {
        let mut given = HeaderMap::new();
        for name in ["te", "content-type", "grpc-timeout", "x-own"] {
            given.insert(name, HeaderValue::from_static("1"));
        }
        let kept = metadata(given, Some(HeaderValue::from_static("h:1")));
        assert_eq!(kept.len(), 2);
        assert_eq!(kept["dapr-authority"], "h:1");
    }
}
