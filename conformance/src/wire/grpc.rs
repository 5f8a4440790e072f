//! Rows over gRPC.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use percent_encoding::percent_decode_str;
use prost::Message;
use proto_dapr::google_rpc::{BadRequest, ErrorInfo, Help, ResourceInfo, Status};
use serde_json::{Value, json};

use super::row::{Answer, Grpc};
use super::{message, text};
use crate::client::http2::{self, Ending, NoAnswer};

const PATIENCE: Duration = Duration::from_secs(8);
const SERVICE: &str = "/dapr.proto.runtime.v1.Dapr/";

/// Makes the row's call.
pub(super) fn ask(port: u16, call: &Grpc) -> Result<Answer, String> {
    let ending = if call.open { Ending::Open } else { Ending::Ended };
    let answer = match http2::call(port, request(port, call)?, ending, PATIENCE) {
        Ok(answer) => answer,
        Err(NoAnswer::Silence) => return Ok(ended("silent")),
        Err(NoAnswer::Reset(reason)) => return Ok(ended(&reason)),
    };
    let mut out = Answer::default();
    let status = if answer.headers.contains_key("grpc-status") { &answer.headers } else { &answer.trailers };
    out.code = header(status, "grpc-status").and_then(|code| code.parse().ok());
    if answer.status != StatusCode::OK || out.code.is_none() {
        out.status = Some(answer.status.as_u16());
        out.body = Some(text::shown(&answer.body));
    }
    if let Some(content_type) = header(&answer.headers, "content-type")
        && content_type != "application/grpc"
    {
        out.headers.insert("content-type".to_owned(), content_type.to_owned());
    }
    if out.code.is_some_and(|code| code != 0) {
        let words = header(status, "grpc-message").unwrap_or_default();
        out.message = Some(percent_decode_str(words).decode_utf8_lossy().into_owned());
        out.details = Some(details(status)?);
    }
    Ok(out)
}

fn ended(how: &str) -> Answer {
    Answer { end: Some(how.to_owned()), ..Answer::default() }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn request(port: u16, call: &Grpc) -> Result<Request<Bytes>, String> {
    let path = if call.method.starts_with('/') { call.method.clone() } else { format!("{SERVICE}{}", call.method) };
    let verb = if call.verb.is_empty() { Method::POST } else { call.verb.parse().map_err(|_| "a bad verb")? };
    let body = match (&call.body, &call.message) {
        (Some(body), None) => text::bytes(body)?,
        (None, Some(message)) => message::framed(&message::encode(message)?),
        (None, None) => message::framed(&[]),
        (Some(_), Some(_)) => return Err("a row has a body or a message".to_owned()),
    };
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = verb;
    *request.uri_mut() = format!("http://127.0.0.1:{port}{path}").parse().map_err(|_| format!("{path} is no path"))?;
    let headers = request.headers_mut();
    headers.insert("te", HeaderValue::from_static("trailers"));
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    for (name, value) in &call.metadata {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name} is no name"))?;
        let value = text::bytes(value)?;
        headers.insert(name, HeaderValue::from_bytes(&value).map_err(|_| "a value that HTTP/2 cannot carry")?);
    }
    Ok(request)
}

/// The details of a status as JSON, each with its `type`.
fn details(headers: &HeaderMap) -> Result<Vec<Value>, String> {
    let Some(packed) = header(headers, "grpc-status-details-bin") else { return Ok(Vec::new()) };
    let bytes =
        STANDARD.decode(packed).or_else(|_| STANDARD_NO_PAD.decode(packed)).map_err(|error| error.to_string())?;
    let status = Status::decode(bytes.as_slice()).map_err(|error| error.to_string())?;
    status.details.iter().map(detail).collect::<Result<_, prost::DecodeError>>().map_err(|error| error.to_string())
}

fn detail(any: &prost_types::Any) -> Result<Value, prost::DecodeError> {
    let bytes = any.value.as_slice();
    let name = any.type_url.rsplit('.').next().unwrap_or_default();
    Ok(match name {
        "ErrorInfo" => {
            let info = ErrorInfo::decode(bytes)?;
            json!({"type": name, "reason": info.reason, "domain": info.domain, "metadata": info.metadata})
        }
        "ResourceInfo" => {
            let info = ResourceInfo::decode(bytes)?;
            json!({"type": name, "resource_type": info.resource_type, "resource_name": info.resource_name,
                   "owner": info.owner, "description": info.description})
        }
        "BadRequest" => {
            let violations = BadRequest::decode(bytes)?.field_violations;
            let fields: Vec<Value> =
                violations.iter().map(|one| json!({"field": one.field, "description": one.description})).collect();
            json!({"type": name, "fields": fields})
        }
        "Help" => {
            let links = Help::decode(bytes)?.links;
            json!({"type": name, "links": links.iter().map(|link| link.url.clone()).collect::<Vec<_>>()})
        }
        other => json!({"type": other}),
    })
}
