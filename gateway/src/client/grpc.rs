//! gRPC over an HTTP/2 pool: unary calls, and messages one by one out of a stream.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt;
use prost::Message;
use tonic::{Code, Status};

use super::http2::Http2Pool;
use super::{ClientError, Origin};
use crate::body::Body;

/// Bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Cheap to clone.
#[derive(Clone)]
pub struct GrpcClient {
    pool: Http2Pool,
    /// The most bytes of a message, either way; 0 for no limit.
    limit: usize,
}

/// What a call brought.
#[derive(Debug)]
pub struct Reply<M> {
    pub message: M,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
}

/// A status other than OK, from the other side or from this client.
#[derive(Debug)]
pub struct Failure {
    pub status: Status,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    /// The other side has certainly not seen the call.
    pub is_unprocessed: bool,
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            status: status_of(&error),
            headers: HeaderMap::new(),
            trailers: HeaderMap::new(),
            is_unprocessed: error.is_unprocessed(),
        }
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self { status, headers: HeaderMap::new(), trailers: HeaderMap::new(), is_unprocessed: false }
    }
}

/// A failed exchange as Go's gRPC client reports it.
pub fn status_of(error: &ClientError) -> Status {
    let text = error.to_string();
    let is_dial = error.is_unprocessed() && (text.starts_with("dial ") || text.contains("tls: "));
    let message = match is_dial {
        true if text.starts_with("dial ") => {
            format!("connection error: desc = \"transport: Error while dialing: {text}\"")
        }
        true => format!("connection error: desc = \"transport: authentication handshake failed: {text}\""),
        false => text,
    };
    Status::new(error.code(), message)
}

impl GrpcClient {
    pub fn new(pool: Http2Pool, limit: usize) -> Self {
        Self { pool, limit }
    }

    pub fn pool(&self) -> &Http2Pool {
        &self.pool
    }

    pub fn origin(&self) -> &Origin {
        self.pool.origin()
    }

    /// One message there and one back. `path` is `/package.Service/Method`; a `timeout` goes with the call.
    pub async fn unary<In: Message, Out: Message + Default>(
        &self,
        path: &str,
        message: &In,
        metadata: HeaderMap,
        timeout: Option<Duration>,
    ) -> Result<Reply<Out>, Failure> {
        let frame = frame(message, self.limit)?;
        let calling = async {
            let mut request = request(path, metadata, Body::full(frame))?;
            if let Some(timeout) = timeout.and_then(timeout_header) {
                request.headers_mut().insert("grpc-timeout", timeout);
            }
            let response = self.pool.send(request).await?;
            self.read(response).await
        };
        match timeout {
            None => calling.await,
            Some(timeout) => match tokio::time::timeout(timeout, calling).await {
                Ok(outcome) => outcome,
                Err(_) => Err(Status::deadline_exceeded("context deadline exceeded").into()),
            },
        }
    }

    async fn read<Out: Message + Default>(&self, response: Response<Body>) -> Result<Reply<Out>, Failure> {
        let (parts, body) = response.into_parts();
        let headers = parts.headers;
        if let Some(status) = unexpected(parts.status, &headers) {
            return Err(Failure { headers, ..status.into() });
        }
        let mut messages = Messages::new(body, self.limit);
        let first = match messages.next::<Out>().await {
            Ok(first) => first,
            Err(status) => return Err(Failure { headers, ..status.into() }),
        };
        let trailers = match messages.end().await {
            Ok(trailers) => trailers,
            Err(status) => return Err(Failure { headers, ..status.into() }),
        };
        let status = status_in(&headers, &trailers);
        match (status.code(), first) {
            (Code::Ok, Some(message)) => Ok(Reply { message, headers, trailers }),
            (Code::Ok, None) => {
                let status = Status::internal(
                    "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message",
                );
                Err(Failure { headers, trailers, ..status.into() })
            }
            _ => Err(Failure { status, headers, trailers, is_unprocessed: false }),
        }
    }
}

/// A gRPC request. Fails when `path` cannot be one.
pub fn request(path: &str, metadata: HeaderMap, body: Body) -> Result<Request<Body>, ClientError> {
    let uri = path.parse().map_err(|_| ClientError::request(format!("malformed method name: {path:?}")))?;
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = metadata;
    request.headers_mut().insert(CONTENT_TYPE, GRPC);
    request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
    Ok(request)
}

/// A message behind its prefix. `limit` 0 means none.
pub fn frame<M: Message>(message: &M, limit: usize) -> Result<Bytes, Status> {
    let length = message.encoded_len();
    if limit > 0 && length > limit {
        return Err(Status::resource_exhausted(format!(
            "trying to send message larger than max ({length} vs. {limit})"
        )));
    }
    let prefix = u32::try_from(length).map_err(|_| {
        Status::resource_exhausted(format!("trying to send message larger than max ({length} vs. {})", u32::MAX))
    })?;
    let mut bytes = BytesMut::with_capacity(length + PREFIX);
    bytes.put_u8(0);
    bytes.put_u32(prefix);
    message.encode_raw(&mut bytes);
    Ok(bytes.freeze())
}

/// What Go's gRPC client makes of an answer that is no gRPC.
pub fn unexpected(http: StatusCode, headers: &HeaderMap) -> Option<Status> {
    let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let is_grpc = content_type.as_deref().is_some_and(|value| {
        value.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with(['+', ';']))
    });
    if http == StatusCode::OK && is_grpc {
        return None;
    }
    if headers.contains_key("grpc-status") {
        // An answer that is only a status.
        return (!is_grpc || http != StatusCode::OK)
            .then(|| status_in(headers, &HeaderMap::new()))
            .filter(|status| status.code() != Code::Ok);
    }
    let code = match http.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let mut message = String::new();
    if http != StatusCode::OK {
        let reason = http.canonical_reason().unwrap_or_default();
        message = format!("unexpected HTTP status code received from server: {} ({reason})", http.as_u16());
    }
    if !is_grpc {
        let separator = if message.is_empty() { "" } else { "; " };
        let what = match &content_type {
            Some(value) => format!("transport: received unexpected content-type {value:?}"),
            None => "transport: missing content-type field".to_owned(),
        };
        message = format!("{message}{separator}{what}");
    }
    Some(Status::new(code, message))
}

/// The status of a call that has ended.
pub fn status_in(headers: &HeaderMap, trailers: &HeaderMap) -> Status {
    Status::from_header_map(trailers)
        .or_else(|| Status::from_header_map(headers))
        .unwrap_or_else(|| Status::internal("server closed the stream without sending trailers"))
}

/// `grpc-timeout`, rounded up to what fits into eight digits.
pub fn timeout_header(timeout: Duration) -> Option<HeaderValue> {
    let micros = timeout.as_micros();
    let (number, unit) = match micros {
        0..=99_999_999 => (micros.max(1), 'u'),
        100_000_000..=99_999_999_999 => (micros.div_ceil(1000), 'm'),
        _ => (micros.div_ceil(1_000_000).min(99_999_999), 'S'),
    };
    HeaderValue::from_str(&format!("{number}{unit}")).ok()
}

/// The messages of a stream, one by one.
pub struct Messages {
    body: Body,
    limit: usize,
    /// Received and not yet looked at.
    chunk: Bytes,
    /// A message of which only a part has come: prefix and all.
    part: BytesMut,
    trailers: HeaderMap,
    ended: bool,
}

impl Messages {
    /// `limit`: the most bytes of one message; 0 for no limit.
    pub fn new(body: Body, limit: usize) -> Self {
        let (chunk, part, trailers) = (Bytes::new(), BytesMut::new(), HeaderMap::new());
        Self { body, limit, chunk, part, trailers, ended: false }
    }

    /// The next message, decoded; `None` after the last one.
    pub async fn next<M: Message + Default>(&mut self) -> Result<Option<M>, Status> {
        let Some(bytes) = self.next_bytes().await? else { return Ok(None) };
        M::decode(bytes)
            .map(Some)
            .map_err(|error| Status::internal(format!("grpc: failed to unmarshal the received message: {error}")))
    }

    async fn next_bytes(&mut self) -> Result<Option<Bytes>, Status> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next message's bytes; `None` after the last one.
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Status>> {
        loop {
            match self.take() {
                Ok(None) => {}
                taken => return Poll::Ready(taken),
            }
            if self.ended {
                let is_whole = self.part.is_empty();
                return Poll::Ready(if is_whole { Ok(None) } else { Err(Status::internal("unexpected EOF")) });
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => self.ended = true,
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.chunk = data,
                    Err(frame) => {
                        self.trailers = frame.into_trailers().unwrap_or_default();
                        self.ended = true;
                    }
                },
                Some(Err(error)) => return Poll::Ready(Err(broken(&error))),
            }
        }
    }

    /// The trailers, after the last message.
    pub fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// A whole message, if there is one.
    fn take(&mut self) -> Result<Option<Bytes>, Status> {
        if self.part.is_empty() {
            let Some(length) = self.length(&self.chunk)? else {
                self.part.extend_from_slice(&std::mem::take(&mut self.chunk));
                return Ok(None);
            };
            if self.chunk.len() >= PREFIX + length {
                let mut message = self.chunk.split_to(PREFIX + length);
                message.advance(PREFIX);
                return Ok(Some(message));
            }
            self.part.reserve(PREFIX + length);
            self.part.extend_from_slice(&std::mem::take(&mut self.chunk));
            return Ok(None);
        }
        if self.part.len() < PREFIX {
            let missing = (PREFIX - self.part.len()).min(self.chunk.len());
            self.part.extend_from_slice(&self.chunk.split_to(missing));
        }
        let Some(length) = self.length(&self.part)? else { return Ok(None) };
        let missing = (PREFIX + length).saturating_sub(self.part.len());
        self.part.reserve(missing);
        self.part.extend_from_slice(&self.chunk.split_to(missing.min(self.chunk.len())));
        if self.part.len() < PREFIX + length {
            return Ok(None);
        }
        let mut message = std::mem::take(&mut self.part).freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// The length in a prefix, if all of it is there.
    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, Status> {
        let Some((prefix, _)) = bytes.split_first_chunk::<PREFIX>() else { return Ok(None) };
        if prefix[0] != 0 {
            return Err(Status::internal("grpc: compressed flag set with identity or empty encoding"));
        }
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
        if self.limit > 0 && length > self.limit {
            let text = format!("grpc: received message larger than max ({length} vs. {})", self.limit);
            return Err(Status::resource_exhausted(text));
        }
        Ok(Some(length))
    }

    /// Reads what is left and gives the trailers.
    pub async fn end(&mut self) -> Result<HeaderMap, Status> {
        while !self.ended {
            match self.body.frame().await {
                None => self.ended = true,
                Some(Ok(frame)) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.trailers = trailers;
                    }
                }
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
        Ok(std::mem::take(&mut self.trailers))
    }
}

fn broken(error: &crate::body::BodyError) -> Status {
    match error.downcast_ref::<ClientError>() {
        Some(error) => status_of(error),
        None => Status::cancelled(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;
    use proto_dapr::common::InvokeRequest;

    use super::*;

    /// The messages of `bytes`, received in pieces of `size`.
    async fn methods(bytes: &Bytes, size: usize, limit: usize) -> Result<Vec<String>, Status> {
        let frames: Vec<_> = bytes
            .chunks(size)
            .map(|chunk| Ok::<_, std::io::Error>(http_body::Frame::data(Bytes::copy_from_slice(chunk))))
            .collect();
        let mut messages = Messages::new(Body::stream(StreamBody::new(tokio_stream::iter(frames))), limit);
        let mut found = Vec::new();
        while let Some(message) = messages.next::<InvokeRequest>().await? {
            found.push(message.method);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn messages_are_found_however_they_are_cut() {
        let mut bytes = BytesMut::new();
        for method in ["first", "", "third method"] {
            let message = InvokeRequest { method: method.into(), ..InvokeRequest::default() };
            bytes.extend_from_slice(&frame(&message, 0).unwrap());
        }
        let bytes = bytes.freeze();
        for size in [1, 2, 5, 7, 11, 100] {
            assert_eq!(methods(&bytes, size, 0).await.unwrap(), ["first", "", "third method"]);
        }
        assert_eq!(methods(&bytes, 3, 8).await.unwrap_err().code(), Code::ResourceExhausted);
        assert_eq!(methods(&bytes.slice(..bytes.len() - 1), 3, 0).await.unwrap_err().message(), "unexpected EOF");
    }

    #[test]
    fn failures_to_connect_read_as_in_go() {
        let error = ClientError::dial("dial tcp 127.0.0.1:1: connect: connection refused");
        assert_eq!(
            status_of(&error).message(),
            "connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused\""
        );
    }

    #[test]
    fn answers_that_are_no_grpc_get_a_status() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        let status = unexpected(StatusCode::BAD_GATEWAY, &headers).unwrap();
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.message(),
            "unexpected HTTP status code received from server: 502 (Bad Gateway); \
             transport: received unexpected content-type \"text/html\""
        );
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc+proto"));
        assert!(unexpected(StatusCode::OK, &headers).is_none());
    }

    #[test]
    fn timeouts_keep_to_eight_digits() {
        assert_eq!(timeout_header(Duration::from_millis(5)).unwrap(), "5000u");
        assert_eq!(timeout_header(Duration::from_secs(200)).unwrap(), "200000m");
        assert_eq!(timeout_header(Duration::from_secs(200_000)).unwrap(), "200000S");
    }
}
