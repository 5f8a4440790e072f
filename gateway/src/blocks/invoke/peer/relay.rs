//! The relay between two Ottavos: a call as an HTTP/2 request on the internal port, its headers as headers, its body as
//! it is.
//!
//! `POST /ottavo.relay.v1/Invoke/<method>?<query>` with the content type `application/x-ottavo-relay`; a gRPC server
//! refuses that type before it looks at anything else, so that a daprd has certainly done nothing. What HTTP has no
//! place for stands in headers of this module, which are never passed on. An answer carries `ottavo-relay: 1`; its status
//! is the application's, unless `ottavo-error` says that the sidecar has failed.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use prost::Message;
use tonic::{Code, Status};

use super::super::call::{AppCall, AppReply, CallHead, GrpcStatus, ReplyStatus, Verb};
use super::super::headers;
use super::super::replay::Source;
use super::PeerError;
use crate::body::Body;
use crate::client::hop;
use crate::client::http2::{Http2Pool, Lease};
use crate::operation::Front;
use crate::telemetry::trace::SpanContext;

const INVOKE: &str = "/ottavo.relay.v1/Invoke/";
const ASK: &str = "/ottavo.relay.v1/Ask";
const RELAY_TYPE: HeaderValue = HeaderValue::from_static("application/x-ottavo-relay");

const MARK: HeaderName = HeaderName::from_static("ottavo-relay");
const VERB: HeaderName = HeaderName::from_static("ottavo-verb");
const ORIGIN: HeaderName = HeaderName::from_static("ottavo-origin");
const BODY_TYPE: HeaderName = HeaderName::from_static("ottavo-content-type");
const TYPE_URL: HeaderName = HeaderName::from_static("ottavo-type-url");
/// In place of a status that HTTP/2 does not have, which is 101.
const HTTP_STATUS: HeaderName = HeaderName::from_static("ottavo-http-status");
const GRPC_STATUS: HeaderName = HeaderName::from_static("ottavo-grpc-status");
const ERROR: HeaderName = HeaderName::from_static("ottavo-error");
const ERROR_TEXT: HeaderName = HeaderName::from_static("ottavo-error-text");
const OWN: [HeaderName; 9] = [MARK, VERB, ORIGIN, BODY_TYPE, TYPE_URL, HTTP_STATUS, GRPC_STATUS, ERROR, ERROR_TEXT];
/// In front of the metadata that a gRPC application sent behind its answer.
const TRAILER: &str = "ottavo-trailer-";

/// What goes through a path unchanged; percent signs are escaped, so that decoding gives exactly what was written.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'/').remove(b'=').remove(b'&');

/// Whether a request on the internal port is a relayed one.
pub fn is_relayed(uri: &Uri, headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE) == Some(&RELAY_TYPE) && (uri.path().starts_with(INVOKE) || uri.path() == ASK)
}

/// Whether the other side relays.
pub(super) async fn ask(pool: &Http2Pool, lease: Lease) -> Result<bool, PeerError> {
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(ASK);
    request.headers_mut().insert(CONTENT_TYPE, RELAY_TYPE);
    let (parts, body) = request.into_parts();
    let response = pool.send_over(lease, parts, body).await?;
    Ok(response.headers().contains_key(MARK))
}

/// Relays a call. `None`: the other side does not relay, and has not begun with the call.
pub(super) async fn call(
    pool: &Http2Pool,
    lease: Lease,
    head: &CallHead,
    source: &Source,
    trace: Option<&SpanContext>,
) -> Result<Option<AppReply>, PeerError> {
    let (parts, body) = request(head, source.open(), trace)?.into_parts();
    let response = pool.send_over(lease, parts, body).await?;
    if response.headers().contains_key(MARK) { reply(response).map(Some) } else { Ok(None) }
}

fn request(head: &CallHead, body: Body, trace: Option<&SpanContext>) -> Result<Request<Body>, Status> {
    let mut request = Request::new(body);
    let path = utf8_percent_encode(&head.method, PATH);
    let target = match head.query.is_empty() {
        true => format!("{INVOKE}{path}"),
        false => format!("{INVOKE}{path}?{}", utf8_percent_encode(&head.query, PATH)),
    };
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        target.parse().map_err(|error| Status::internal(format!("the method cannot be relayed: {error}")))?;
    let headers = request.headers_mut();
    headers.reserve(head.headers.len() + 6);
    for (name, value) in &head.headers {
        headers.append(name.clone(), value.clone());
    }
    for name in &OWN {
        headers.remove(name);
    }
    headers.remove(CONTENT_LENGTH);
    // HTTP/2 knows no headers of a connection: with one the request is not even sent.
    hop::strip(headers);
    headers::put_trace_http(headers, trace);
    headers.insert(CONTENT_TYPE, RELAY_TYPE);
    if let Some(verb) = head.verb {
        headers.insert(VERB, HeaderValue::from(verb.0));
    }
    if head.origin == Front::Grpc {
        headers.insert(ORIGIN, HeaderValue::from_static("grpc"));
    }
    if let Some(content_type) = &head.content_type {
        headers.insert(BODY_TYPE, content_type.clone());
    }
    if !head.type_url.is_empty() {
        insert_text(headers, TYPE_URL, &head.type_url);
    }
    Ok(request)
}

/// A relayed request as a call; `None` for the question whether this side relays.
pub fn received(request: Request<Body>) -> Option<AppCall> {
    let (mut parts, body) = request.into_parts();
    let method = parts.uri.path().strip_prefix(INVOKE)?;
    let method = percent_decode_str(method).decode_utf8_lossy().into_owned();
    let query = percent_decode_str(parts.uri.query().unwrap_or_default()).decode_utf8_lossy().into_owned();
    let headers = &mut parts.headers;
    let verb = headers.remove(VERB).and_then(|verb| verb.to_str().ok()?.parse().ok()).map(Verb);
    let origin = if headers.remove(ORIGIN).is_some() { Front::Grpc } else { Front::Http };
    let content_type = headers.remove(BODY_TYPE);
    let type_url = headers.remove(TYPE_URL).map(|text| read_text(&text)).unwrap_or_default();
    for name in [MARK, GRPC_STATUS, ERROR, ERROR_TEXT, CONTENT_TYPE, CONTENT_LENGTH] {
        headers.remove(name);
    }
    let is_stream = http_body::Body::size_hint(&body).exact().is_none();
    let head = CallHead { method, verb, query, headers: parts.headers, content_type, type_url, origin };
    Some(AppCall { head, body, is_stream })
}

/// Answers the question whether this side relays.
pub fn yes() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(MARK, HeaderValue::from_static("1"));
    response
}

/// An answer for the other side.
pub fn response(reply: AppReply) -> Response<Body> {
    let mut response = Response::new(reply.body);
    *response.headers_mut() = reply.headers;
    let headers = response.headers_mut();
    for name in &OWN {
        headers.remove(name);
    }
    hop::strip(headers);
    if let Some(content_type) = reply.content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if !reply.type_url.is_empty() {
        insert_text(headers, TYPE_URL, &reply.type_url);
    }
    let mut status = StatusCode::OK;
    match reply.status {
        ReplyStatus::Http(code) if code.is_informational() => {
            headers.insert(HTTP_STATUS, HeaderValue::from(code.as_u16()));
        }
        ReplyStatus::Http(code) => status = code,
        ReplyStatus::Grpc(GrpcStatus { code, message, details }) => {
            let packed = proto_dapr::google_rpc::Status { code, message, details };
            insert_binary(headers, GRPC_STATUS, &packed.encode_to_vec());
            for (name, value) in &reply.trailers {
                if let Ok(name) = HeaderName::from_bytes(format!("{TRAILER}{name}").as_bytes()) {
                    headers.append(name, value.clone());
                }
            }
        }
    }
    headers.insert(MARK, HeaderValue::from_static("1"));
    *response.status_mut() = status;
    response
}

/// A failure of this sidecar for the other side.
pub fn failure(status: &Status) -> Response<Body> {
    let mut response = yes();
    let headers = response.headers_mut();
    headers.insert(ERROR, HeaderValue::from(status.code() as i32));
    insert_text(headers, ERROR_TEXT, status.message());
    response
}

fn reply(response: Response<Body>) -> Result<AppReply, PeerError> {
    let (mut parts, body) = response.into_parts();
    let headers = &mut parts.headers;
    headers.remove(MARK);
    if let Some(code) = headers.get(ERROR) {
        let code = code.to_str().ok().and_then(|code| code.parse().ok()).map_or(Code::Unknown, Code::from_i32);
        let text = headers.get(ERROR_TEXT).map(read_text).unwrap_or_default();
        return Err(Status::new(code, text).into());
    }
    let content_type = headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_LENGTH);
    let type_url = headers.remove(TYPE_URL).map(|text| read_text(&text)).unwrap_or_default();
    let mut trailers = HeaderMap::new();
    let status = match headers.remove(GRPC_STATUS) {
        None => {
            let told = headers.remove(HTTP_STATUS).and_then(|code| StatusCode::from_bytes(code.as_bytes()).ok());
            ReplyStatus::Http(told.unwrap_or(parts.status))
        }
        Some(packed) => {
            let packed = read_binary(&packed).and_then(|bytes| proto_dapr::google_rpc::Status::decode(&bytes[..]).ok());
            let proto_dapr::google_rpc::Status { code, message, details } =
                packed.ok_or_else(|| Status::internal("the relayed status cannot be read"))?;
            trailers = take_trailers(headers);
            ReplyStatus::Grpc(GrpcStatus { code, message, details })
        }
    };
    Ok(AppReply { status, headers: parts.headers, trailers, content_type, type_url, body })
}

fn take_trailers(headers: &mut HeaderMap) -> HeaderMap {
    let names: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with(TRAILER)).cloned().collect();
    let mut trailers = HeaderMap::new();
    for name in names {
        if let Ok(plain) = HeaderName::from_bytes(&name.as_str().as_bytes()[TRAILER.len()..]) {
            for value in headers.get_all(&name) {
                trailers.append(plain.clone(), value.clone());
            }
        }
        headers.remove(&name);
    }
    trailers
}

fn insert_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(&utf8_percent_encode(text, PATH).to_string()) {
        headers.insert(name, value);
    }
}

fn read_text(value: &HeaderValue) -> String {
    percent_decode_str(value.to_str().unwrap_or_default()).decode_utf8_lossy().into_owned()
}

fn insert_binary(headers: &mut HeaderMap, name: HeaderName, bytes: &[u8]) {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.insert(name, value);
    }
}

fn read_binary(value: &HeaderValue) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_go_there_and_back_with_any_method_and_query() {
        for (method, query) in [("a/b", "x=1&y=%20"), ("", ""), ("/lead", "ü=\u{7}"), ("a%2F b", "?")] {
            let head = CallHead {
                method: method.into(),
                verb: Some(Verb(3)),
                query: query.into(),
                headers: [(VERB, HeaderValue::from_static("9")), (ERROR, HeaderValue::from_static("forged"))]
                    .into_iter()
                    .collect(),
                content_type: Some(HeaderValue::from_static("application/grpc")),
                type_url: "type/ü".into(),
                origin: Front::Grpc,
            };
            let request = request(&head, Body::full("x"), None).unwrap();
            assert!(is_relayed(request.uri(), request.headers()));
            let received = received(request).unwrap().head;
            assert_eq!((received.method, received.query), (head.method, head.query));
            assert_eq!(
                (received.verb, received.content_type, received.type_url),
                (head.verb, head.content_type, head.type_url)
            );
            assert_eq!((received.origin, received.headers.len()), (Front::Grpc, 0));
        }
    }

    #[test]
    fn headers_of_a_connection_stay_behind() {
        let of_connection = || -> HeaderMap {
            [("transfer-encoding", "chunked"), ("connection", "x-mine"), ("x-mine", "1"), ("x-kept", "2")]
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .into_iter()
                .collect()
        };
        let head = CallHead {
            method: "m".into(),
            verb: Some(Verb(3)),
            query: String::new(),
            headers: of_connection(),
            content_type: None,
            type_url: String::new(),
            origin: Front::Http,
        };
        let received = received(request(&head, Body::empty(), None).unwrap()).unwrap().head;
        assert_eq!(received.headers.keys().collect::<Vec<_>>(), ["x-kept"]);
        let answer = AppReply {
            status: ReplyStatus::Http(StatusCode::OK),
            headers: of_connection(),
            trailers: HeaderMap::new(),
            content_type: None,
            type_url: String::new(),
            body: Body::empty(),
        };
        assert_eq!(reply(response(answer)).unwrap().headers.keys().collect::<Vec<_>>(), ["x-kept"]);
    }

    #[test]
    fn answers_go_there_and_back() {
        let status = GrpcStatus { code: 5, message: "näh".into(), details: vec![] };
        let http = [StatusCode::IM_A_TEAPOT, StatusCode::SWITCHING_PROTOCOLS].map(ReplyStatus::Http);
        for status in http.into_iter().chain([ReplyStatus::Grpc(status)]) {
            let is_grpc = matches!(status, ReplyStatus::Grpc(_));
            let trailers: HeaderMap =
                [(HeaderName::from_static("x-t"), HeaderValue::from_static("1"))].into_iter().collect();
            let sent = AppReply {
                status: status.clone(),
                headers: HeaderMap::new(),
                trailers: trailers.clone(),
                content_type: Some(HeaderValue::from_static("a/b")),
                type_url: String::new(),
                body: Body::empty(),
            };
            let received = reply(response(sent)).unwrap();
            assert_eq!((received.status, received.content_type.unwrap()), (status, HeaderValue::from_static("a/b")));
            assert_eq!(received.trailers, if is_grpc { trailers } else { HeaderMap::new() });
            assert!(received.headers.is_empty());
        }
    }

    #[test]
    fn failures_keep_code_and_text() {
        let Err(error) = reply(failure(&Status::permission_denied("no: \"x\"\n"))) else { panic!("it is an answer") };
        assert_eq!((error.status.code(), error.status.message()), (Code::PermissionDenied, "no: \"x\"\n"));
    }
}
