//! Replies and errors as HTTP answers: the only place that renders an [`ApiError`] for this wire.

use bytes::Bytes;
use components::Metadata;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::body::Body;
use crate::error::{ApiError, DetailKind};
use crate::json::escape_into;
use crate::operation::Front;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// 204 without a body.
pub fn empty() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// `status` with a body of `application/json`, whatever is in it (daprd's default type).
pub fn data(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A value as Go's streaming encoder writes it: with a line end.
pub fn json_line(status: StatusCode, value: &Value) -> Response<Body> {
    let mut text = go_text(value);
    text.push('\n');
    data(status, text)
}

/// A value without a line end (protobuf JSON).
pub fn json(status: StatusCode, value: &Value) -> Response<Body> {
    data(status, go_text(value))
}

/// Plain text with a line end, as Go's `http.Error` sends it.
pub fn text(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(format!("{message}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// An error: tag, text, and its details where the wire shows any.
pub fn error(error: &ApiError) -> Response<Body> {
    let mut body = Map::new();
    body.insert("errorCode".into(), error.tag().into());
    body.insert("message".into(), error.message(Front::Http).into());
    let details: Vec<Value> = error.details(Front::Http).map(detail).collect();
    if !details.is_empty() {
        body.insert("details".into(), Value::Array(details));
    }
    let mut response = json(error.http_status(), &Value::Object(body));
    response
        .extensions_mut()
        .insert(Counted { code: error.counted_code().into(), category: error.category().as_str() });
    response
}

/// Tells the metrics layer which code an answer stands for.
#[derive(Clone)]
pub struct Counted {
    pub code: String,
    pub category: &'static str,
}

fn detail(kind: &DetailKind) -> Value {
    match kind {
        DetailKind::ErrorInfo { reason, domain, metadata } => json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "domain": domain,
            // Pub/sub errors carry the request's metadata, which is an empty map and not none.
            "metadata": if metadata.is_empty() && !reason.starts_with("DAPR_PUBSUB") { Value::Null } else { json!(metadata) },
            "reason": reason,
        }),
        DetailKind::ResourceInfo { resource_type, resource_name, owner, description } => json!({
            "@type": "type.googleapis.com/google.rpc.ResourceInfo",
            "description": description,
            "owner": owner,
            "resource_name": resource_name,
            "resource_type": resource_type,
        }),
        DetailKind::BadRequest { field, description } => json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "field_violations": [if field.is_empty() {
                json!({ "description": description })
            } else {
                json!({ "field": field, "description": description })
            }],
        }),
        DetailKind::Help { url, description } => json!({
            "@type": "type.googleapis.com/google.rpc.Help",
            "links": [{ "description": description, "url": url }],
        }),
    }
}

/// Sets `metadata.<key>` headers; names and values that a header cannot hold are left out.
pub fn metadata_headers(response: &mut Response<Body>, metadata: &Metadata) {
    for (key, value) in metadata {
        let name = HeaderName::from_bytes(format!("metadata.{key}").as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
            response.headers_mut().insert(name, value);
        }
    }
}

/// JSON with Go's escapes, members in the order of the map.
fn go_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => escape_into(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                escape_into(name, out);
                out.push(':');
                write(member, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}
