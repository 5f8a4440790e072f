//! `--max-body-size`: a longer body breaks off while it is read; whoever reads it answers (as daprd 1.18).

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower::Layer;

use super::ServeConnection;
use crate::body::{Body, BodyError, TooLarge};

#[derive(Debug, Clone)]
pub struct BodyLimit {
    /// Bytes; 0 for no limit.
    pub limit: usize,
}

impl<S> Layer<S> for BodyLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, limit: self.limit }
    }
}

#[derive(Debug, Clone)]
pub struct Limited<S> {
    inner: S,
    limit: usize,
}

impl<S: ServeConnection> ServeConnection for Limited<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let fits = http_body::Body::size_hint(request.body()).upper().is_some_and(|most| most <= self.limit as u64);
        if self.limit == 0 || fits {
            return self.inner.serve(request).await;
        }
        let left = self.limit as u64;
        self.inner.serve(request.map(|body| Body::stream(LimitedBody { body, left }))).await
    }
}

/// Fails with [`TooLarge`] as soon as more than the limit has come.
struct LimitedBody {
    body: Body,
    left: u64,
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => frame,
            other => return other,
        };
        if let Some(data) = frame.data_ref() {
            let length = data.len() as u64;
            if length > self.left {
                return Poll::Ready(Some(Err(TooLarge.into())));
            }
            self.left -= length;
        }
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
