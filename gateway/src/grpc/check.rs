//! What a gRPC server refuses before any method sees the call, with the statuses and words of daprd 1.18's.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, request};
use tonic::{Code, Status};

use super::{frame, unary};
use crate::body::Body;

const GRPC: &[u8] = b"application/grpc";

/// The answer to a call that is none; `None` for one that may go on.
pub fn refusal(parts: &request::Parts) -> Option<Response<Body>> {
    if parts.method != Method::POST {
        let text = format!("Received a HEADERS frame with :method \"{}\" which should be POST", parts.method);
        return Some(answer(StatusCode::METHOD_NOT_ALLOWED, Code::Internal, text));
    }
    let content_type = parts.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if subtype(content_type).is_none() {
        let shown = String::from_utf8_lossy(content_type);
        let text = format!("invalid gRPC request content-type \"{shown}\"");
        return Some(answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, text));
    }
    if let Err(reason) = unary::timeout(&parts.headers) {
        return Some(answer(StatusCode::BAD_REQUEST, Code::Internal, format!("malformed grpc-timeout: {reason}")));
    }
    if let Some(text) = broken_binary(&parts.headers) {
        return Some(answer(StatusCode::BAD_REQUEST, Code::Internal, text));
    }
    let path = parts.uri.path();
    if !path.strip_prefix('/').is_some_and(|path| path.contains('/')) {
        return Some(frame::status(&Status::unimplemented(format!("malformed method name: \"{path}\""))));
    }
    None
}

/// Answers in the content type of the call: clients of a codec may insist on it.
pub fn echo_content_type(call: &HeaderValue, response: &mut Response<Body>) {
    let Some(subtype @ [_, ..]) = subtype(call.as_bytes()) else { return };
    let is_grpc = response.headers().get(CONTENT_TYPE).is_some_and(|found| found.as_bytes() == GRPC);
    if is_grpc && let Ok(value) = HeaderValue::from_bytes(&[GRPC, b"+", subtype].concat()) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
}

/// What follows `application/grpc` and a `+` or `;`; `None` when the type is another.
fn subtype(content_type: &[u8]) -> Option<&[u8]> {
    match content_type.strip_prefix(GRPC)? {
        [] => Some(&[]),
        [b'+' | b';', subtype @ ..] => Some(subtype),
        _ => None,
    }
}

/// Values of `-bin` metadata are base64, with padding or without; several may stand in one, divided by commas.
fn broken_binary(headers: &HeaderMap) -> Option<String> {
    let binary = headers.iter().filter(|(name, _)| name.as_str().ends_with("-bin"));
    for (name, value) in binary {
        let is_base64 = |one: &[u8]| STANDARD.decode(one).is_ok() || STANDARD_NO_PAD.decode(one).is_ok();
        if !value.as_bytes().split(|byte| *byte == b',').all(|one| is_base64(one.trim_ascii())) {
            let shown = String::from_utf8_lossy(value.as_bytes());
            let at = value.as_bytes().iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"+/=".contains(byte));
            let at = at.unwrap_or(value.len());
            return Some(format!(
                "malformed binary metadata \"{shown}\" in header \"{name}\": illegal base64 data at input byte {at}"
            ));
        }
    }
    None
}

/// A status whose HTTP status is not 200 either.
fn answer(http: StatusCode, code: Code, text: String) -> Response<Body> {
    let mut response = frame::status(&Status::new(code, text));
    *response.status_mut() = http;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut request::Parts)) -> Option<u16> {
        let (mut parts, ()) = http::Request::post("/a.B/C").body(()).unwrap().into_parts();
        parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        change(&mut parts);
        refusal(&parts).map(|response| response.status().as_u16())
    }

    #[test]
    fn calls_pass_and_others_do_not() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|parts| parts.method = Method::GET), Some(405));
        let header = |name: &'static str, value: &'static str| {
            refused(|parts| {
                parts.headers.insert(name, HeaderValue::from_static(value));
            })
        };
        assert_eq!(header("content-type", "application/grpc+proto"), None);
        assert_eq!(header("content-type", "application/grpcx"), Some(415));
        assert_eq!(header("grpc-timeout", "10"), Some(400));
        assert_eq!(header("x-bin", "YQ, YQ=="), None);
        assert_eq!(header("x-bin", "#"), Some(400));
        assert_eq!(refused(|parts| parts.uri = "/C".parse().unwrap()), Some(200));
    }
}
