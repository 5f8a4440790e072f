//! Service invocation over HTTP: by path, by the header `dapr-app-id`, or by the user name of basic authorization
//! (as daprd 1.18).

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use tonic::Code;

use super::{Answered, Call, respond};
use crate::app::url;
use crate::blocks::invoke::{AppCall, AppReply, CallHead, GrpcStatus, InvokeApp, ReplyStatus, Verb, headers, status};
use crate::body::{Body, BodyError};
use crate::catalog::{ROWS, Row};
use crate::error::table;
use crate::layers::SpanName;
use crate::operation::Front;
use crate::query::query_unescape;
use crate::sniff;

const APP_ID: http::HeaderName = http::HeaderName::from_static("dapr-app-id");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The catalogue's row of invocations.
const ROW: &Row = {
    let mut index = 0;
    while !matches!(ROWS[index].operation.as_bytes(), b"InvokeService") {
        index += 1;
    }
    &ROWS[index]
};

/// A request that no route of the API takes: it names its target, or is not found.
pub async fn fallback(call: Call) -> Response<Body> {
    answer(call).await
}

/// `/v1.0/invoke/<target>/method/<method>`; the header goes before the path.
pub async fn by_path(call: Call) -> Response<Body> {
    answer(call).await
}

async fn answer(call: Call) -> Response<Body> {
    let Call { runtime, context, mut parts, body, .. } = call;
    let Some((target, method)) = target(&decoded(parts.uri.path()), &mut parts.headers) else {
        let error = table::invoke::no_target();
        runtime.count_error(&error);
        return answered(respond::error(&error), "");
    };
    let mut headers = parts.headers;
    let content_type = headers.remove(CONTENT_TYPE);
    let head = CallHead {
        verb: Some(Verb::of(&parts.method)),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        content_type,
        type_url: String::new(),
        origin: Front::Http,
        method,
    };
    let wants_events = head.wants_events();
    let span_name = context
        .trace
        .as_ref()
        .filter(|trace| trace.is_sampled())
        .map(|_| SpanName(format!("CallLocal/{target}/{}", head.method)));
    let is_stream = body.size_hint().exact().is_none();
    let operation = InvokeApp { target: target.clone(), call: AppCall { head, body, is_stream } };
    let mut response = match runtime.call(&context, operation).await {
        Ok(reply) => {
            let response = finish(reply, wants_events).await;
            if !(200..400).contains(&response.status().as_u16()) {
                runtime.count_error(&table::invoke::failed(&target, ""));
            }
            response
        }
        Err(error) => {
            runtime.count_error(&error);
            respond::error(&error)
        }
    };
    if let Some(name) = span_name {
        response.extensions_mut().insert(name);
    }
    answered(response, &target)
}

fn answered(mut response: Response<Body>, target: &str) -> Response<Body> {
    let name = if target.is_empty() {
        Cow::Borrowed(ROW.operation)
    } else {
        Cow::Owned(format!("{}/{target}", ROW.operation))
    };
    response.extensions_mut().insert(Answered { row: ROW, name });
    response
}

/// A path without its escapes. What is no UTF-8 keeps them.
fn decoded(path: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(path).collect();
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let mut text = String::new();
            for chunk in error.as_bytes().utf8_chunks() {
                text.push_str(chunk.valid());
                for byte in chunk.invalid() {
                    text.push_str(&format!("%{byte:02X}"));
                }
            }
            text
        }
    }
}

/// Whom a request is for, and the method. The header goes no further.
fn target(path: &str, headers: &mut HeaderMap) -> Option<(String, String)> {
    let whole_path = || url::clean(path).trim_start_matches('/').to_owned();
    if let Some(id) = headers.get(APP_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty()) {
        let id = id.to_owned();
        headers.remove(APP_ID);
        return Some((id, whole_path()));
    }
    if let Some(id) = basic_user(headers) {
        return Some((id, whole_path()));
    }
    let rest = behind_invoke(path)?;
    let (target, method) = rest.split_once("/method/").filter(|(target, _)| !target.is_empty())?;
    let method = match url::clean(method) {
        method if method == "." => String::new(),
        method => method.into_owned(),
    };
    let target = query_unescape(target).ok().filter(|text| !text.is_empty()).unwrap_or_else(|| target.to_owned());
    Some((target, method))
}

/// The app id of `dapr-app-id:<id>` in basic authorization.
fn basic_user(headers: &HeaderMap) -> Option<String> {
    let encoded = headers.get(AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, id) = text.split_once(':').filter(|(_, id)| !id.contains(':'))?;
    (user.eq_ignore_ascii_case(APP_ID.as_str()) && !id.is_empty()).then(|| id.to_owned())
}

/// What follows `/v1.0/invoke/`, however many slashes there are; slashes further on stay, since targets may be URLs.
fn behind_invoke(path: &str) -> Option<&str> {
    let mut rest = path;
    for part in ["v1.0", "invoke"] {
        rest = rest.trim_start_matches('/').strip_prefix(part)?;
        if !rest.starts_with('/') {
            return None;
        }
    }
    Some(rest.trim_start_matches('/'))
}

/// An application's answer for an HTTP caller.
async fn finish(reply: AppReply, wants_events: bool) -> Response<Body> {
    let content_type = reply.effective_content_type();
    let AppReply { status, mut headers, body, .. } = reply;
    headers::for_http(&mut headers);
    let (status, body) = match status {
        ReplyStatus::Http(status) => (status, body),
        ReplyStatus::Grpc(grpc) => match status::http_of(Code::from(grpc.code)) {
            StatusCode::OK => (StatusCode::OK, body),
            status => (status, Body::full(status_json(&grpc).to_string())),
        },
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    if let Some(content_type) = content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    } else if wants_events && status.is_success() {
        response.headers_mut().insert(CONTENT_TYPE, EVENT_STREAM);
        response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache"));
    } else if !(200..400).contains(&status.as_u16()) {
        response.headers_mut().insert(CONTENT_TYPE, JSON);
    } else if !response.body().is_end_stream() && !response.headers().contains_key(CONTENT_ENCODING) {
        response = with_sniffed_type(response).await;
    }
    response
}

/// Names the type of a body by its first bytes; they are waited for.
async fn with_sniffed_type(response: Response<Body>) -> Response<Body> {
    let (mut parts, mut body) = response.into_parts();
    let first = match body.frame().await {
        None => return Response::from_parts(parts, Body::empty()),
        Some(Err(error)) => {
            let failed =
                http_body_util::StreamBody::new(tokio_stream::once(Err::<http_body::Frame<_>, BodyError>(error)));
            return Response::from_parts(parts, Body::stream(failed));
        }
        Some(Ok(frame)) => frame,
    };
    let Ok(first) = first.into_data() else { return Response::from_parts(parts, Body::empty()) };
    if !first.is_empty() {
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static(sniff::content_type(&first)));
    }
    let body = if body.is_end_stream() { Body::full(first) } else { body.preceded_by(first) };
    Response::from_parts(parts, body)
}

/// A status as protobuf prints it in JSON; members without value are left out.
fn status_json(status: &GrpcStatus) -> Value {
    let mut members = Map::new();
    members.insert("code".into(), status.code.into());
    if !status.message.is_empty() {
        members.insert("message".into(), status.message.clone().into());
    }
    if !status.details.is_empty() {
        members.insert("details".into(), status.details.iter().map(detail_json).collect());
    }
    Value::Object(members)
}

fn detail_json(detail: &prost_types::Any) -> Value {
    use prost::Message;
    if detail.type_url.ends_with("/google.rpc.ErrorInfo")
        && let Ok(info) = proto_dapr::google_rpc::ErrorInfo::decode(detail.value.as_slice())
    {
        let mut members = Map::new();
        members.insert("@type".into(), detail.type_url.clone().into());
        for (name, value) in [("reason", &info.reason), ("domain", &info.domain)] {
            if !value.is_empty() {
                members.insert(name.into(), value.clone().into());
            }
        }
        if !info.metadata.is_empty() {
            members.insert("metadata".into(), json!(info.metadata));
        }
        return Value::Object(members);
    }
    json!({ "@type": detail.type_url, "value": STANDARD.encode(&detail.value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(path: &str, pairs: &[(&'static str, &'static str)]) -> Option<(String, String)> {
        let mut headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let found = target(&decoded(path), &mut headers);
        assert!(found.is_none() || !headers.contains_key(APP_ID));
        found
    }

    #[test]
    fn targets_come_from_header_authorization_or_path() {
        for (path, pairs, id, method) in [
            ("/v1.0/invoke/app/method/a/b", &[][..], "app", "a/b"),
            ("/v1.0////invoke//app/method//foo", &[], "app", "/foo"),
            ("/v1.0/invoke/app/method/", &[], "app", ""),
            ("/v1.0/invoke/app/method/x/method/y", &[], "app", "x/method/y"),
            ("/v1.0/invoke/http%3A%2F%2Fh%3A1/method/m", &[], "http://h:1", "m"),
            ("/v1.0/invoke/http://h:1/method/m", &[], "http://h:1", "m"),
            ("/v1.0/invoke/app/method/a%2Fb%2520", &[], "app", "a/b%20"),
            ("/v1.0/invoke/app/method/../../other", &[], "app", "../../other"),
            ("///foo", &[("dapr-app-id", "app")], "app", "foo"),
            ("/a//b/../c", &[("dapr-app-id", "app")], "app", "a/c"),
            ("/basic", &[("authorization", "Basic REFQUi1BUFAtSUQ6bXlhcHA=")], "myapp", "basic"),
            ("/v1.0/invoke/app/method/x%FFy", &[], "app", "x%FFy"),
        ] {
            assert_eq!(find(path, pairs), Some((id.into(), method.into())), "{path}");
        }
        for path in [
            "/v1.0/invoke/app",
            "/v1.0/invoke/app/method",
            "/v1.0/invoke//method/m",
            "/hello",
            "/v1.0x/invoke/a/method/b",
        ] {
            assert_eq!(find(path, &[]), None, "{path}");
        }
        assert_eq!(find("/hello", &[("authorization", "Basic dXNlcjpwYXNz")]), None);
        assert_eq!(find("/hello", &[("dapr-app-id", "")]), None);
    }

    #[test]
    fn statuses_print_as_protobuf_json() {
        let status = GrpcStatus { code: 5, message: "none".into(), details: vec![] };
        assert_eq!(status_json(&status).to_string(), r#"{"code":5,"message":"none"}"#);
    }
}
