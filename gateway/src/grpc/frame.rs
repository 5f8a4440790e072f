//! One message a direction: gRPC's length-prefixed frame, read whole and written whole.
//!
//! Unary calls need no stream machinery; the texts of failures are those of daprd's gRPC library.

use std::io::Read;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Frame;
use http_body_util::BodyExt;
use prost::Message;
use tonic::Status;

use crate::body::{Body, BodyError};

const HEADER: usize = 5;

/// Reads the one message of a call. `limit`: the most bytes that a message may have.
pub async fn read<M: Message + Default>(headers: &HeaderMap, mut body: Body, limit: usize) -> Result<M, Status> {
    if let Some(encoding) = encoding(headers)
        && encoding != b"gzip"
    {
        let shown = String::from_utf8_lossy(encoding);
        let text = format!("grpc: Decompressor is not installed for grpc-encoding \"{shown}\"");
        return Err(Status::unimplemented(text));
    }
    let mut buffer = BytesMut::new();
    let mut first = Bytes::new();
    let mut wanted = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::cancelled(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        if buffer.is_empty() && first.is_empty() {
            first = data;
        } else {
            if buffer.is_empty() {
                buffer.extend_from_slice(&std::mem::take(&mut first));
            }
            buffer.extend_from_slice(&data);
        }
        let seen = if buffer.is_empty() { &first[..] } else { &buffer[..] };
        if wanted.is_none() && seen.len() >= HEADER {
            if seen[0] > 1 {
                return Err(Status::internal(format!("grpc: received unexpected payload format {}", seen[0])));
            }
            let length = u32::from_be_bytes([seen[1], seen[2], seen[3], seen[4]]) as usize;
            if length > limit {
                return Err(too_large(length, limit));
            }
            wanted = Some(length);
            buffer.reserve((length + HEADER).saturating_sub(seen.len()));
        }
    }
    let mut message = if buffer.is_empty() { first } else { buffer.freeze() };
    let Some(length) = wanted else {
        return Err(Status::unknown("EOF"));
    };
    let compressed = message[0] == 1;
    message.advance(HEADER);
    if message.len() < length {
        return Err(Status::unknown("unexpected EOF"));
    }
    message.truncate(length);
    let message = if compressed { inflate(headers, &message, limit)? } else { message };
    decode(message)
}

/// Decodes a message with the errors that daprd answers.
pub fn decode<M: Message + Default>(message: Bytes) -> Result<M, Status> {
    M::decode(message).map_err(|error| {
        let text = if error.to_string().contains("UTF-8") {
            "string field contains invalid UTF-8"
        } else {
            "proto: cannot parse invalid wire-format data"
        };
        Status::internal(format!("grpc: error unmarshalling request: {text}"))
    })
}

/// How messages of a call may be compressed; `None` for not at all.
fn encoding(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get("grpc-encoding").map(HeaderValue::as_bytes).filter(|encoding| !matches!(*encoding, b"" | b"identity"))
}

fn inflate(headers: &HeaderMap, message: &[u8], limit: usize) -> Result<Bytes, Status> {
    /// Bytes before the data of the shortest gzip.
    const GZIP_HEADER: usize = 10;
    if encoding(headers).is_none() {
        return Err(Status::internal("grpc: compressed flag set with identity or empty encoding"));
    }
    let broken = |what: &str, why: &str| Err(Status::internal(format!("grpc: failed to {what}: {why}")));
    if message.len() < GZIP_HEADER {
        return broken("decompress the message", "unexpected EOF");
    }
    if !message.starts_with(&[0x1f, 0x8b, 8]) {
        return broken("decompress the message", "gzip: invalid header");
    }
    let mut out = Vec::new();
    if let Err(error) = flate2::read::GzDecoder::new(message).take(limit as u64 + 1).read_to_end(&mut out) {
        let is_cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
        return broken("read decompressed data", &if is_cut { "unexpected EOF".to_owned() } else { error.to_string() });
    }
    if out.len() > limit {
        return Err(Status::resource_exhausted(format!("grpc: message after decompression larger than max {limit}")));
    }
    Ok(out.into())
}

pub fn too_large(length: usize, limit: usize) -> Status {
    Status::resource_exhausted(format!("grpc: received message larger than max ({length} vs. {limit})"))
}

/// The sizes of a unary call's messages, for metrics: set on the response.
#[derive(Debug, Clone, Copy)]
pub struct Sizes {
    pub request: u64,
    pub response: u64,
}

/// The answer of a successful unary call.
pub fn reply<M: Message>(message: &M, headers: HeaderMap, limit: usize) -> Response<Body> {
    let length = message.encoded_len();
    if length > limit {
        return status(&Status::resource_exhausted(format!(
            "grpc: trying to send message larger than max ({length} vs. {limit})"
        )));
    }
    let mut frame = BytesMut::with_capacity(length + HEADER);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    message.encode_raw(&mut frame);
    let mut response = Response::new(Body::stream(Unary { data: Some(frame.freeze()), ended: false }));
    *response.headers_mut() = headers;
    response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// An answer that is only a status.
pub fn status(status: &Status) -> Response<Body> {
    status.clone().into_http()
}

/// One frame, then `grpc-status: 0`.
struct Unary {
    data: Option<Bytes>,
    ended: bool,
}

impl http_body::Body for Unary {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.ended = true;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    use proto_dapr::runtime::GetStateRequest;

    use super::*;

    async fn read_bytes(bytes: &[u8], limit: usize) -> Result<GetStateRequest, Status> {
        read(&HeaderMap::new(), Body::full(bytes.to_vec()), limit).await
    }

    #[tokio::test]
    async fn reads_a_frame_and_refuses_a_long_one() {
        let message = GetStateRequest { store_name: "store".into(), ..Default::default() };
        let body = reply(&message, HeaderMap::new(), 100).into_body();
        let bytes = body.collect().await.unwrap().to_bytes();
        assert_eq!(read_bytes(&bytes, 100).await.unwrap().store_name, "store");
        let error = read_bytes(&bytes, 3).await.unwrap_err();
        assert_eq!(error.message(), "grpc: received message larger than max (7 vs. 3)");
    }

    #[tokio::test]
    async fn broken_messages_get_daprds_words() {
        let error = read_bytes(&[0, 0, 0, 0, 2, 10, 200], 100).await.unwrap_err();
        assert_eq!(error.message(), "grpc: error unmarshalling request: proto: cannot parse invalid wire-format data");
        let error = read_bytes(&[0, 0, 0, 0, 4, 10, 2, 255, 254], 100).await.unwrap_err();
        assert_eq!(error.message(), "grpc: error unmarshalling request: string field contains invalid UTF-8");
        assert!(read_bytes(&[0, 0], 100).await.is_err());
    }
}
