//! What is asked, and how it is encoded.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};

use super::Target;
use crate::bench::protocol::hpack;

/// What is asked over and over.
#[derive(Debug, Clone)]
pub struct Work {
    pub method: Method,
    /// From the slash on.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Connections of HTTP/1.1, or of HTTP/2 with so many exchanges on each.
    pub connections: usize,
    /// 0: HTTP/1.1.
    pub streams: usize,
}

impl Work {
    /// 16 connections of HTTP/1.1.
    pub fn http1(method: Method, path: impl Into<String>, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self { method, path: path.into(), headers, body, connections: 16, streams: 0 }
    }

    /// 4 connections with 4 unary gRPC calls each.
    pub fn grpc(path: &str, message: &impl prost::Message) -> Self {
        Self::grpc_encoded(path, &message.encode_to_vec())
    }

    /// As [`Work::grpc`], of a message that is encoded already.
    ///
    /// # Panics
    /// It is longer than 4 GiB.
    pub fn grpc_encoded(path: &str, message: &[u8]) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
        let length = u32::try_from(message.len()).expect("a message of a benchmark is small");
        let body = [&[0], length.to_be_bytes().as_slice(), message].concat().into();
        Self { method: Method::POST, path: path.to_owned(), headers, body, connections: 4, streams: 4 }
    }

    /// As it goes over the wire.
    pub(super) fn encoded(&self, target: &Target) -> Encoded {
        let authority = target.authority();
        if self.streams == 0 {
            let mut head = format!("{} {} HTTP/1.1\r\nhost: {authority}\r\n", self.method, self.path).into_bytes();
            for (name, value) in &self.headers {
                head.extend_from_slice(name.as_str().as_bytes());
                head.extend_from_slice(b": ");
                head.extend_from_slice(value.as_bytes());
                head.extend_from_slice(b"\r\n");
            }
            if !self.body.is_empty() || !matches!(self.method, Method::GET | Method::HEAD) {
                head.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
            }
            head.extend_from_slice(b"\r\n");
            head.extend_from_slice(&self.body);
            return Encoded::Http1(head.into());
        }
        // No content-length: gRPC's clients send none, and daprd would hand it on to the application, where it is
        // another message's.
        let mut block = Vec::new();
        hpack::encode(":method", self.method.as_str(), &mut block);
        hpack::encode(":scheme", "http", &mut block);
        hpack::encode(":path", &self.path, &mut block);
        hpack::encode(":authority", &authority, &mut block);
        for (name, value) in &self.headers {
            hpack::encode(name.as_str(), &String::from_utf8_lossy(value.as_bytes()), &mut block);
        }
        let grpc = self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(GRPC));
        Encoded::Http2(Http2 { block: block.into(), body: self.body.clone(), streams: self.streams, grpc })
    }
}

const GRPC: &[u8] = b"application/grpc";

/// Bytes that are the same in every exchange.
#[derive(Debug)]
pub(super) enum Encoded {
    /// Head and body.
    Http1(Bytes),
    Http2(Http2),
}

/// A request over HTTP/2.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    /// The header block.
    pub block: Bytes,
    pub body: Bytes,
    /// Exchanges at a time on one connection.
    pub streams: usize,
    /// Answers must have a `grpc-status`.
    pub grpc: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_length_and_no_get_without_a_body_does() {
        let target = Target::Tcp(([127, 0, 0, 1], 80).into());
        let text = |work: &Work| match work.encoded(&target) {
            Encoded::Http1(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
            Encoded::Http2(_) => String::new(),
        };
        let set = Work::http1(Method::POST, "/a", Bytes::from_static(b"{}"));
        assert_eq!(
            text(&set),
            "POST /a HTTP/1.1\r\nhost: 127.0.0.1:80\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        );
        let get = Work { headers: HeaderMap::new(), ..Work::http1(Method::GET, "/a", Bytes::new()) };
        assert_eq!(text(&get), "GET /a HTTP/1.1\r\nhost: 127.0.0.1:80\r\n\r\n");
    }
}
