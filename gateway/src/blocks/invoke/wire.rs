//! Calls and answers as messages of `dapr.proto.internals.v1`, which sidecars exchange (as daprd 1.18).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::header::{CONTENT_LENGTH, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use prost_types::Any;
use proto_dapr::common::{HttpExtension, InvokeRequest, InvokeResponse};
use proto_dapr::internals::{
    ApiVersion, InternalInvokeRequest, InternalInvokeResponse, ListStringValue, Status as InternalStatus,
};

use super::call::{AppReply, CallHead, GrpcStatus, ReplyStatus, Verb};
use super::headers;
use crate::body::Body;
use crate::operation::Front;

type Metadata = HashMap<String, ListStringValue>;

/// Says that the metadata came over gRPC.
const GRPC_TYPE: &str = "application/grpc";

/// A call without its body. `length`: the body's, where it is known.
pub fn request(head: &CallHead, length: Option<u64>) -> InternalInvokeRequest {
    let mut metadata = metadata(&head.headers, head.origin);
    match (head.origin, length) {
        (Front::Grpc, _) => put(&mut metadata, "content-type", GRPC_TYPE),
        (Front::Http, Some(length)) => put(&mut metadata, "Content-Length", &length.to_string()),
        (Front::Http, None) => {}
    }
    let content_type = text(head.content_type.as_ref());
    if head.origin == Front::Http && !content_type.is_empty() {
        put(&mut metadata, "Content-Type", &content_type);
    }
    InternalInvokeRequest {
        ver: ApiVersion::V1 as i32,
        metadata,
        message: Some(InvokeRequest {
            method: head.method.clone(),
            data: (!head.type_url.is_empty())
                .then(|| Any { type_url: head.type_url.clone(), value: Default::default() }),
            content_type,
            http_extension: head.verb.map(|verb| HttpExtension { verb: verb.0, querystring: head.query.clone() }),
        }),
        actor: None,
    }
}

/// A call as it came, the data of its message, and the length of its body where the caller has stated one.
pub fn head(request: InternalInvokeRequest) -> (CallHead, bytes::Bytes, Option<u64>) {
    let message = request.message.unwrap_or_default();
    let origin = match request.metadata.get("content-type").and_then(|values| values.values.first()) {
        Some(value) if value.starts_with(GRPC_TYPE) => Front::Grpc,
        _ => Front::Http,
    };
    let mut headers = header_map(request.metadata, origin);
    let length = headers.remove(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    headers.remove(http::header::CONTENT_TYPE);
    let data = message.data.unwrap_or_default();
    let extension = message.http_extension;
    let head = CallHead {
        method: message.method,
        verb: extension.as_ref().map(|extension| Verb(extension.verb)),
        query: extension.map(|extension| extension.querystring).unwrap_or_default(),
        headers,
        content_type: value(&message.content_type),
        type_url: data.type_url,
        origin,
    };
    (head, data.value.into(), length)
}

/// An answer without its body.
pub fn response(reply: &AppReply) -> InternalInvokeResponse {
    let content_type = text(reply.content_type.as_ref());
    let (status, origin) = match &reply.status {
        ReplyStatus::Http(status) => {
            (InternalStatus { code: i32::from(status.as_u16()), ..InternalStatus::default() }, Front::Http)
        }
        ReplyStatus::Grpc(status) => {
            let GrpcStatus { code, message, details } = status.clone();
            (InternalStatus { code, message, details }, Front::Grpc)
        }
    };
    let mut headers = metadata(&reply.headers, origin);
    if origin == Front::Http && !content_type.is_empty() {
        put(&mut headers, "Content-Type", &content_type);
    }
    InternalInvokeResponse {
        status: Some(status),
        headers,
        trailers: metadata(&reply.trailers, origin),
        message: Some(InvokeResponse {
            data: (!reply.type_url.is_empty())
                .then(|| Any { type_url: reply.type_url.clone(), value: Default::default() }),
            content_type,
        }),
    }
}

/// An answer as it came, with the data of its message as the body. `None` without a status.
pub fn reply(response: InternalInvokeResponse) -> Option<AppReply> {
    let status = response.status?;
    let (status, origin) = match u16::try_from(status.code).ok().filter(|code| *code >= 100) {
        Some(code) => (ReplyStatus::Http(StatusCode::from_u16(code).ok()?), Front::Http),
        None => {
            let InternalStatus { code, message, details } = status;
            (ReplyStatus::Grpc(GrpcStatus { code, message, details }), Front::Grpc)
        }
    };
    let mut headers = header_map(response.headers, origin);
    headers.remove(CONTENT_LENGTH);
    let own_type = headers.remove(http::header::CONTENT_TYPE);
    let message = response.message.unwrap_or_default();
    let data = message.data.unwrap_or_default();
    Some(AppReply {
        status,
        headers,
        trailers: header_map(response.trailers, origin),
        content_type: value(&message.content_type).or(own_type.filter(|_| origin == Front::Http)),
        type_url: data.type_url,
        body: Body::full(data.value),
    })
}

fn metadata(headers: &HeaderMap, origin: Front) -> Metadata {
    let mut metadata = Metadata::with_capacity(headers.keys_len() + 2);
    for (name, value) in headers {
        let text = match (origin, headers::is_binary(name)) {
            (Front::Grpc, true) => padded(value),
            _ => String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        let key = match origin {
            Front::Grpc if *name == headers::AUTHORITY => ":authority".to_owned(),
            Front::Grpc => name.as_str().to_owned(),
            // daprd looks for these by exactly this spelling.
            Front::Http
                if [headers::CALLER_APP, headers::CALLER_NAMESPACE, headers::CALLEE_APP, headers::DESTINATION]
                    .contains(name) =>
            {
                name.as_str().to_owned()
            }
            Front::Http => canonical(name.as_str()),
        };
        metadata.entry(key).or_default().values.push(text);
    }
    metadata
}

fn header_map(metadata: Metadata, origin: Front) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(metadata.len());
    for (key, values) in metadata {
        let name = match key.strip_prefix(':') {
            Some("authority") if origin == Front::Grpc => headers::AUTHORITY,
            Some(_) => continue,
            None => match HeaderName::from_bytes(key.as_bytes()) {
                Ok(name) => name,
                Err(_) => continue,
            },
        };
        for text in values.values {
            if let Some(value) = value_or_empty(&text) {
                headers.append(name.clone(), value);
            }
        }
    }
    headers
}

/// Binary metadata in the one form of base64 that daprd reads.
fn padded(value: &HeaderValue) -> String {
    let text = value.to_str().unwrap_or_default().trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).map(|bytes| STANDARD.encode(bytes)).unwrap_or_default()
}

fn put(metadata: &mut Metadata, key: &str, value: &str) {
    metadata.insert(key.to_owned(), ListStringValue { values: vec![value.to_owned()] });
}

fn text(value: Option<&HeaderValue>) -> String {
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

fn value(text: &str) -> Option<HeaderValue> {
    value_or_empty(text).filter(|value| !value.is_empty())
}

fn value_or_empty(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(text.as_bytes()).ok()
}

/// A header's name in Go's spelling.
fn canonical(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|letter| {
            let written = if upper { letter.to_ascii_uppercase() } else { letter };
            upper = letter == '-';
            written
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(origin: Front) -> CallHead {
        let mut headers = HeaderMap::new();
        headers.insert("x-own", HeaderValue::from_static("1"));
        headers.insert("x-a-bin", HeaderValue::from_static("AP8"));
        headers.insert("dapr-caller-app-id", HeaderValue::from_static("me"));
        CallHead {
            method: "a/b".into(),
            verb: Some(Verb(3)),
            query: "x=1".into(),
            headers,
            content_type: Some(HeaderValue::from_static("text/plain")),
            type_url: "t".into(),
            origin,
        }
    }

    #[test]
    fn calls_go_there_and_back() {
        for origin in [Front::Http, Front::Grpc] {
            let sent = call(origin);
            let (head, data, length) = head(request(&sent, Some(5)));
            assert_eq!((head.method, head.verb, head.query), (sent.method, sent.verb, sent.query));
            assert_eq!((head.content_type, head.type_url, head.origin), (sent.content_type, sent.type_url, origin));
            assert_eq!(head.headers["x-own"], "1");
            assert_eq!(length, (origin == Front::Http).then_some(5));
            assert!(data.is_empty());
        }
    }

    #[test]
    fn names_and_binaries_are_written_as_daprd_reads_them() {
        let http = request(&call(Front::Http), None).metadata;
        assert!(
            http.contains_key("X-Own") && http.contains_key("dapr-caller-app-id") && http.contains_key("Content-Type")
        );
        let grpc = request(&call(Front::Grpc), None).metadata;
        assert_eq!(grpc["x-a-bin"].values, ["AP8="]);
        assert_eq!(grpc["content-type"].values, [GRPC_TYPE]);
    }

    #[test]
    fn answers_go_there_and_back() {
        for status in [
            ReplyStatus::Http(StatusCode::NOT_FOUND),
            ReplyStatus::Grpc(GrpcStatus { code: 5, message: "none".into(), details: vec![] }),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-own", HeaderValue::from_static("1"));
            let sent = AppReply {
                status: status.clone(),
                headers,
                trailers: HeaderMap::new(),
                content_type: Some(HeaderValue::from_static("a/b")),
                type_url: String::new(),
                body: Body::empty(),
            };
            let received = reply(response(&sent)).unwrap();
            assert_eq!(received.status, status);
            assert_eq!(received.content_type, sent.content_type);
            assert_eq!(received.headers, sent.headers);
        }
    }
}
