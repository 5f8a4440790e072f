//! Bodies of HTTP messages on their way through a guest.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;

/// What a body fails with.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// Data and trailers: bytes at hand, or a stream.
pub enum Body {
    Kept { data: Bytes, trailers: Option<HeaderMap> },
    Stream(Pin<Box<dyn http_body::Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl Body {
    /// A body of bytes at hand.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self::Kept { data: bytes.into(), trailers: None }
    }

    /// Bytes at hand, and trailers behind them unless there are none.
    pub(crate) fn kept(data: Bytes, trailers: HeaderMap) -> Self {
        Self::Kept { data, trailers: (!trailers.is_empty()).then_some(trailers) }
    }

    pub fn stream(body: impl http_body::Body<Data = Bytes, Error = BodyError> + Send + 'static) -> Self {
        Self::Stream(Box::pin(body))
    }

    /// This body with `first` before it.
    pub(crate) fn behind(self, first: Bytes) -> Self {
        if first.is_empty() { self } else { Self::stream(Chained { first: Some(first), rest: self }) }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Kept { data, .. } if data.has_remaining() => Poll::Ready(Some(Ok(Frame::data(std::mem::take(data))))),
            Self::Kept { trailers, .. } => Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))),
            Self::Stream(stream) => stream.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Kept { data, trailers } => data.is_empty() && trailers.is_none(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Kept { data, .. } => SizeHint::with_exact(data.len() as u64),
            Self::Stream(stream) => stream.size_hint(),
        }
    }
}

struct Chained {
    first: Option<Bytes>,
    rest: Body,
}

impl http_body::Body for Chained {
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
        let first = self.first.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(first));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(first)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// A body that is read in portions.
pub(crate) struct Reader {
    body: Body,
    pending: Bytes,
    pub trailers: HeaderMap,
}

impl Reader {
    pub fn new(body: Body) -> Self {
        Self { body, pending: Bytes::new(), trailers: HeaderMap::new() }
    }

    /// Reads until there are `wanted` bytes or no more; and whether that was all.
    pub async fn read(&mut self, wanted: usize) -> Result<(Bytes, bool), BodyError> {
        let mut first = self.portion(wanted);
        let mut rest = BytesMut::new();
        while first.len() + rest.len() < wanted && self.advance().await? {
            let portion = self.portion(wanted - first.len() - rest.len());
            if first.is_empty() { first = portion } else { rest.extend_from_slice(&portion) }
        }
        let is_end = self.pending.is_empty() && self.body.is_end_stream();
        let is_end = is_end || (first.len() + rest.len() < wanted);
        if rest.is_empty() {
            return Ok((first, is_end));
        }
        let mut whole = BytesMut::from(first);
        whole.unsplit(rest);
        Ok((whole.freeze(), is_end))
    }

    /// Everything that is left, at most `limit` bytes.
    pub async fn all(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let (bytes, _) = self.read(limit.saturating_add(1)).await?;
        if bytes.len() > limit {
            return Err(format!("the body is longer than the {limit} bytes that are kept of one").into());
        }
        Ok(bytes)
    }

    /// What was not read.
    pub fn rest(self) -> Body {
        self.body.behind(self.pending)
    }

    fn portion(&mut self, wanted: usize) -> Bytes {
        self.pending.split_to(self.pending.len().min(wanted))
    }

    /// Whether there is more data.
    async fn advance(&mut self) -> Result<bool, BodyError> {
        while let Some(frame) = self.body.frame().await {
            match frame?.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => {
                    self.pending = data;
                    return Ok(true);
                }
                Err(frame) => self.trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

    use super::*;

    fn frames(parts: &'static [&'static str]) -> Body {
        let frames = parts.iter().map(|part| Ok::<_, BodyError>(Frame::data(Bytes::from_static(part.as_bytes()))));
        Body::stream(StreamBody::new(futures::stream::iter(frames)))
    }

    #[tokio::test]
    async fn portions_do_not_depend_on_frames() {
        let mut reader = Reader::new(frames(&["abc", "", "d", "efgh"]));
        assert_eq!(reader.read(2).await.unwrap(), (Bytes::from("ab"), false));
        assert_eq!(reader.read(3).await.unwrap(), (Bytes::from("cde"), false));
        assert_eq!(reader.read(9).await.unwrap(), (Bytes::from("fgh"), true));
        assert_eq!(reader.read(9).await.unwrap(), (Bytes::new(), true));
    }

    #[tokio::test]
    async fn the_end_is_known_with_the_last_byte_of_a_body_at_hand() {
        assert_eq!(Reader::new(Body::full("abc")).read(3).await.unwrap(), (Bytes::from("abc"), true));
    }

    #[tokio::test]
    async fn what_was_not_read_is_still_there() {
        let mut reader = Reader::new(frames(&["abc", "def"]));
        reader.read(2).await.unwrap();
        let rest = reader.rest().collect().await.unwrap().to_bytes();
        assert_eq!(rest, "cdef");
        assert!(Reader::new(frames(&["abc", "def"])).all(5).await.is_err());
        assert_eq!(Reader::new(frames(&["abc", "def"])).all(6).await.unwrap(), "abcdef");
    }
}
