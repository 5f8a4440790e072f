//! A body whose small frames of data are given out together, as far as they are there already.
//!
//! A stream of messages comes in frames of a message each. Every frame costs its way through two libraries and every hop
//! behind; what is ready at once goes on as one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// Data of so much goes on without waiting for more; smaller data is copied.
const ENOUGH: usize = 16 * 1024;

/// See the module.
pub struct Merged<B: Body> {
    inner: B,
    /// What came behind the data that was given out last.
    held: Option<Option<Result<Frame<Bytes>, B::Error>>>,
}

impl<B: Body> Merged<B> {
    pub fn new(inner: B) -> Self {
        Self { inner, held: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Merged<B>
where
    B::Error: Unpin,
{
    /// Adds to `data` what is ready behind it.
    fn more(&mut self, data: Bytes, context: &mut Context<'_>) -> Bytes {
        let mut first = data;
        let mut all = BytesMut::new();
        while first.len() + all.len() < ENOUGH {
            match Pin::new(&mut self.inner).poll_frame(context) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        if all.is_empty() {
                            all.reserve(ENOUGH.max(first.len() + data.len()));
                            all.extend_from_slice(&std::mem::take(&mut first));
                        }
                        all.extend_from_slice(&data);
                    }
                    Err(frame) => {
                        self.held = Some(Some(Ok(frame)));
                        break;
                    }
                },
                Poll::Ready(end) => {
                    self.held = Some(end);
                    break;
                }
            }
        }
        if all.is_empty() { first } else { all.freeze() }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Merged<B>
where
    B::Error: Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Some(held) = self.held.take() {
            if held.is_none() {
                // The end stays the end.
                self.held = Some(None);
            }
            return Poll::Ready(held);
        }
        Poll::Ready(match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(data) if data.len() < ENOUGH && !self.inner.is_end_stream() => Frame::data(self.more(data, context)),
                Ok(data) => Frame::data(data),
                Err(frame) => frame,
            })),
            other => other,
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.held {
            Some(held) => held.is_none(),
            None => self.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::FutureExt;
    use http::HeaderMap;
    use http_body_util::BodyExt;

    use super::*;

    /// `None`: not ready at this moment.
    struct Script(VecDeque<Option<Result<Frame<Bytes>, &'static str>>>);

    impl Body for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            match self.0.pop_front() {
                None => Poll::Ready(None),
                Some(None) => Poll::Pending,
                Some(Some(frame)) => Poll::Ready(Some(frame)),
            }
        }
    }

    fn data(length: usize) -> Option<Result<Frame<Bytes>, &'static str>> {
        Some(Ok(Frame::data(vec![7; length].into())))
    }

    fn merged<const N: usize>(frames: [Option<Result<Frame<Bytes>, &'static str>>; N]) -> Merged<Script> {
        Merged::new(Script(frames.into()))
    }

    /// The length of the next frame of data; `None` for anything else.
    fn next(body: &mut Merged<Script>) -> Option<usize> {
        body.frame().now_or_never()??.ok()?.into_data().ok().map(|data| data.len())
    }

    #[test]
    fn what_is_ready_goes_together_and_nothing_waits() {
        let mut body = merged([data(3), data(4), None, data(5)]);
        assert_eq!(next(&mut body), Some(7));
        assert_eq!(next(&mut body), Some(5));
        assert!(body.is_end_stream());
        assert!(body.frame().now_or_never().unwrap().is_none());
        assert!(body.frame().now_or_never().unwrap().is_none());
    }

    #[test]
    fn large_data_is_not_copied_and_no_frame_grows_without_end() {
        let mut body = merged([data(ENOUGH), data(ENOUGH - 1), data(ENOUGH - 1), data(1)]);
        assert_eq!(next(&mut body), Some(ENOUGH));
        assert_eq!(next(&mut body), Some(2 * ENOUGH - 2));
        assert_eq!(next(&mut body), Some(1));
    }

    #[test]
    fn trailers_and_errors_come_behind_the_data() {
        let mut body = merged([data(1), data(1), Some(Ok(Frame::trailers(HeaderMap::new())))]);
        assert_eq!(next(&mut body), Some(2));
        assert!(!body.is_end_stream());
        assert!(body.frame().now_or_never().unwrap().unwrap().unwrap().is_trailers());
        let mut body = merged([data(1), Some(Err("cut"))]);
        assert_eq!(next(&mut body), Some(1));
        assert_eq!(body.frame().now_or_never().unwrap().unwrap().unwrap_err(), "cut");
    }
}
