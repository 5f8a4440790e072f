//! `Upgrade: h2c`: an HTTP/1.1 connection becomes HTTP/2 (as daprd 1.18; RFC 7540, section 3.2).
//!
//! The upgrading request is answered on stream 1 of the new connection. hyper's server knows only connections that
//! begin with HTTP/2, so the request is put into the byte stream as a HEADERS frame right behind the client's first
//! frame, where a client with prior knowledge would have sent it. Requests with a body are served as HTTP/1.1, which
//! the protocol leaves to the server.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, HeaderName, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body::Body as _;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::server::upgraded;

const SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
/// The fixed text that opens a client's side of HTTP/2.
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;

#[derive(Debug, Clone)]
pub struct H2cUpgrade {
    /// `DAPR_HTTP_DISABLE_H2C` switches it off.
    pub enabled: bool,
}

impl<S> Layer<S> for H2cUpgrade {
    type Service = Upgrading<S>;

    fn layer(&self, inner: S) -> Upgrading<S> {
        Upgrading { inner, enabled: self.enabled }
    }
}

#[derive(Debug, Clone)]
pub struct Upgrading<S> {
    inner: S,
    enabled: bool,
}

impl<S: ServeConnection> ServeConnection for Upgrading<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        if !self.enabled || !asks(&request) {
            return self.inner.serve(request).await;
        }
        if !has_settings(&request) {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            return response;
        }
        let headers = headers_frame(&request);
        let Some(upgraded) = upgraded::take(&request) else {
            return self.inner.serve(request).await;
        };
        let service = self.inner.clone();
        tokio::spawn(async move {
            let Ok(io) = upgraded.await else { return };
            let io = TokioIo::new(Spliced::new(io, headers));
            let service = service_fn(move |request: Request<hyper::body::Incoming>| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.serve(request.map(Body::from)).await) }
            });
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service);
            if let Err(error) = serving.await {
                tracing::debug!(target: "dapr.runtime", "An upgraded connection ended early: {error}");
            }
        });
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("h2c"));
        response
    }
}

fn asks(request: &Request<Body>) -> bool {
    request.version() == http::Version::HTTP_11
        && request.headers().get(UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"h2c"))
        && request.headers().contains_key(SETTINGS)
        && request.body().is_end_stream()
}

/// Whether the settings are what they must be: the payload of a SETTINGS frame in base64 for URLs.
fn has_settings(request: &Request<Body>) -> bool {
    let value = request.headers().get(SETTINGS).map(HeaderValue::as_bytes).unwrap_or_default();
    URL_SAFE_NO_PAD.decode(value.trim_ascii_end()).is_ok_and(|payload| payload.len().is_multiple_of(6))
}

/// The request as the HEADERS frame of stream 1, which it ends. Literals without indexing leave the client's
/// compression state alone.
fn headers_frame(request: &Request<Body>) -> Bytes {
    let mut block = BytesMut::new();
    let authority = request.headers().get(http::header::HOST).map_or(&b""[..], HeaderValue::as_bytes);
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    literal(&mut block, b":method", request.method().as_str().as_bytes());
    literal(&mut block, b":scheme", b"http");
    literal(&mut block, b":authority", authority);
    literal(&mut block, b":path", path.as_bytes());
    for (name, value) in request.headers() {
        let is_connection = [CONNECTION, UPGRADE, SETTINGS, http::header::HOST].contains(name);
        if !is_connection {
            literal(&mut block, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    let mut frame = BytesMut::with_capacity(FRAME_HEADER + block.len());
    frame.put_uint(block.len() as u64, 3);
    frame.put_u8(0x1);
    frame.put_u8(0x1 | 0x4);
    frame.put_u32(1);
    frame.extend_from_slice(&block);
    frame.freeze()
}

fn literal(block: &mut BytesMut, name: &[u8], value: &[u8]) {
    block.put_u8(0);
    for text in [name, value] {
        length(block, text.len());
        block.extend_from_slice(text);
    }
}

/// HPACK's integer with a prefix of 7 bits.
fn length(block: &mut BytesMut, length: usize) {
    if length < 127 {
        block.put_u8(length as u8);
        return;
    }
    block.put_u8(127);
    let mut rest = length - 127;
    while rest >= 128 {
        block.put_u8((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    block.put_u8(rest as u8);
}

/// A connection whose reader sees `frame` behind the preface and the first frame that the client sent.
struct Spliced<I> {
    io: I,
    frame: Bytes,
    /// What was read before the place to splice was known.
    head: BytesMut,
    ready: Bytes,
}

impl<I> Spliced<I> {
    fn new(io: I, frame: Bytes) -> Self {
        Self { io, frame, head: BytesMut::new(), ready: Bytes::new() }
    }

    /// The length of preface and first frame, once it is known.
    fn boundary(&self) -> Option<usize> {
        let length = self.head.get(PREFACE..PREFACE + 3)?;
        let length = usize::from(length[0]) << 16 | usize::from(length[1]) << 8 | usize::from(length[2]);
        Some(PREFACE + FRAME_HEADER + length)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Spliced<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while !self.frame.is_empty() {
            let mut chunk = [0u8; 1024];
            let mut buffer = ReadBuf::new(&mut chunk);
            std::task::ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            let filled = buffer.filled().to_vec();
            self.head.extend_from_slice(&filled);
            if let Some(boundary) = self.boundary().filter(|boundary| *boundary <= self.head.len()) {
                let mut spliced = BytesMut::from(&self.head[..boundary]);
                spliced.extend_from_slice(&std::mem::take(&mut self.frame));
                spliced.extend_from_slice(&self.head[boundary..]);
                self.ready = spliced.freeze();
                self.head = BytesMut::new();
            }
        }
        if self.ready.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, out);
        }
        let length = self.ready.len().min(out.remaining());
        out.put_slice(&self.ready[..length]);
        self.ready.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Spliced<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
