//! The one body type of requests and responses: a stream that is relayed, or bytes at hand, with whatever must live
//! as long as it (spans, concurrency slots, leases).

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;

/// What a body fails with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A stream of frames.
#[derive(Default)]
pub struct Body {
    inner: Inner,
    /// Dropped with the body: guards of what the stream still uses.
    _guard: Option<Box<dyn Any + Send>>,
}

#[derive(Default)]
enum Inner {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl Body {
    pub fn empty() -> Self {
        Self::default()
    }

    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let inner = if bytes.is_empty() { Inner::Empty } else { Inner::Full(bytes) };
        Self { inner, _guard: None }
    }

    pub fn stream<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self { inner: Inner::Stream(Box::pin(body.map_err(Into::into))), _guard: None }
    }

    /// The same body, which keeps `guard` until it is dropped.
    pub fn with_guard(mut self, guard: impl Any + Send) -> Self {
        self._guard = match self._guard.take() {
            Some(earlier) => Some(Box::new((earlier, guard))),
            None => Some(Box::new(guard)),
        };
        self
    }

    /// This body behind bytes that were read from it already.
    pub fn preceded_by(self, first: Bytes) -> Self {
        Self::stream(Preceded { first: Some(first), rest: self })
    }

    /// Whether all of it is here.
    pub fn is_at_hand(&self) -> bool {
        matches!(self.inner, Inner::Empty | Inner::Full(_))
    }

    /// The bytes, when they are all at hand.
    pub fn as_full(&self) -> Option<Bytes> {
        match &self.inner {
            Inner::Empty => Some(Bytes::new()),
            Inner::Full(bytes) => Some(bytes.clone()),
            _ => None,
        }
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        Self { inner: Inner::Incoming(incoming), _guard: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.inner {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.inner = Inner::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Inner::Incoming(incoming) => Pin::new(incoming).poll_frame(context).map_err(Into::into),
            Inner::Stream(stream) => stream.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(_) => false,
            Inner::Incoming(incoming) => incoming.is_end_stream(),
            Inner::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Incoming(incoming) => incoming.size_hint(),
            Inner::Stream(stream) => stream.size_hint(),
        }
    }
}

struct Preceded {
    first: Option<Bytes>,
    rest: Body,
}

impl http_body::Body for Preceded {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(Frame::data(first)))),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, |first| first.len() as u64);
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + first);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint
    }
}

/// A body for a WebAssembly guest.
#[cfg(feature = "wasm")]
pub fn to_guest(body: Body) -> wasm_host::body::Body {
    match body.as_full() {
        Some(bytes) => wasm_host::body::Body::full(bytes),
        None => wasm_host::body::Body::stream(body),
    }
}

/// A guest's body.
#[cfg(feature = "wasm")]
pub fn from_guest(body: wasm_host::body::Body) -> Body {
    match body {
        wasm_host::body::Body::Kept { data, trailers: None } => Body::full(data),
        other => Body::stream(other),
    }
}

/// A body longer than its reader allows. Its text is Go's for the same case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stream too large")]
pub struct TooLarge;

/// Everything of `body`, at most `limit` bytes; `limit` 0 means no limit.
pub async fn collect(
    mut body: impl http_body::Body<Data = Bytes, Error = BodyError> + Unpin,
    limit: usize,
) -> Result<Bytes, BodyError> {
    let mut first = Bytes::new();
    let mut rest = bytes::BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if limit > 0 && first.len() + rest.len() + data.len() > limit {
            return Err(TooLarge.into());
        }
        if first.is_empty() && rest.is_empty() {
            first = data;
        } else {
            if rest.is_empty() {
                rest.reserve(first.len() + data.len());
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&data);
        }
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_read_can_be_put_back() {
        let body = Body::full("rest").preceded_by(Bytes::from_static(b"first, "));
        assert_eq!(http_body::Body::size_hint(&body).exact(), Some(11));
        assert_eq!(collect(body, 0).await.unwrap(), "first, rest");
    }

    #[tokio::test]
    async fn collect_stops_at_the_limit() {
        assert_eq!(collect(Body::full("12345"), 5).await.unwrap(), "12345");
        let error = collect(Body::full("123456"), 5).await.unwrap_err();
        assert!(error.is::<TooLarge>());
    }
}
