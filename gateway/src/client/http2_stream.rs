//! The two halves of one HTTP/2 exchange: the request's body on its way out, the response's on its way in.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream, SendStream};
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;

use super::ClientError;
use crate::body::{Body, BodyError};
use crate::merged::Merged;

/// Sends a body as fast as the other side's window allows. Ends when all of it is sent, or nobody wants the rest.
pub struct Upload {
    stream: SendStream<Bytes>,
    body: Merged<Body>,
    /// Taken from the body, not yet sent.
    rest: Bytes,
}

impl Upload {
    pub fn new(stream: SendStream<Bytes>, body: Body) -> Self {
        Self { stream, body: Merged::new(body), rest: Bytes::new() }
    }

    /// Sends what the window allows of `rest`.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        while !self.rest.is_empty() {
            self.stream.reserve_capacity(self.rest.len());
            let granted = match ready!(self.stream.poll_capacity(context)) {
                Some(Ok(granted)) => granted,
                // Why the stream ended is told by the response.
                Some(Err(_)) | None => return Poll::Ready(Err(Ended)),
            };
            let part = self.rest.split_to(granted.min(self.rest.len()));
            let is_last = self.rest.is_empty() && self.body.is_end_stream();
            if self.stream.send_data(part, is_last).is_err() || is_last {
                return Poll::Ready(Err(Ended));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Nothing more is to be sent.
struct Ended;

impl Future for Upload {
    type Output = Result<(), ClientError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            if ready!(self.poll_rest(context)).is_err() {
                return Poll::Ready(Ok(()));
            }
            if let Poll::Ready(outcome) = self.stream.poll_reset(context) {
                // A reset without error asks for no more of the body; the response comes all the same.
                let _ = outcome;
                return Poll::Ready(Ok(()));
            }
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                None => {
                    let _ = self.stream.send_data(Bytes::new(), true);
                    return Poll::Ready(Ok(()));
                }
                Some(Err(error)) => {
                    self.stream.send_reset(Reason::CANCEL);
                    return Poll::Ready(Err(ClientError::request(error.to_string())));
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if data.is_empty() && !self.body.is_end_stream() => {}
                    Ok(data) if data.is_empty() => {
                        let _ = self.stream.send_data(data, true);
                        return Poll::Ready(Ok(()));
                    }
                    Ok(data) => self.rest = data,
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            let _ = self.stream.send_trailers(trailers);
                            return Poll::Ready(Ok(()));
                        }
                    }
                },
            }
        }
    }
}

/// The response's body. What is read makes room in the window for as much again, once the reader wants more: a reader
/// that stands still has one portion less to be kept for it.
pub struct Download<G> {
    stream: RecvStream,
    /// Given out, and still counted in the window.
    unreleased: usize,
    data_ended: bool,
    trailers_ended: bool,
    /// Stated by the response's head.
    left: Option<u64>,
    /// The upload, when it goes on after the response has begun.
    upload: Option<AbortHandle>,
    _guard: G,
}

impl<G> Download<G> {
    pub fn new(stream: RecvStream, length: Option<u64>, upload: Option<AbortHandle>, guard: G) -> Self {
        Self { stream, unreleased: 0, data_ended: false, trailers_ended: false, left: length, upload, _guard: guard }
    }
}

impl<G: Send + Unpin> http_body::Body for Download<G> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let unreleased = std::mem::take(&mut self.unreleased);
        if unreleased > 0 {
            // An error means that the stream has ended, which the next read tells.
            let _ = self.stream.flow_control().release_capacity(unreleased);
        }
        if !self.data_ended {
            match ready!(self.stream.poll_data(context)) {
                Some(Ok(data)) => {
                    self.unreleased = data.len();
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => {
                    self.data_ended = true;
                    self.trailers_ended = true;
                    // An early end that is no error: the response is complete.
                    if error.reason() == Some(Reason::NO_ERROR) && error.is_reset() {
                        return Poll::Ready(None);
                    }
                    return Poll::Ready(Some(Err(ClientError::from_h2(&error).into())));
                }
                None => self.data_ended = true,
            }
        }
        if self.trailers_ended {
            return Poll::Ready(None);
        }
        let trailers = ready!(self.stream.poll_trailers(context));
        self.trailers_ended = true;
        Poll::Ready(match trailers {
            Ok(Some(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(None) => None,
            Err(error) => Some(Err(ClientError::from_h2(&error).into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.trailers_ended || self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_end_stream() {
            return SizeHint::with_exact(0);
        }
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl<G> Drop for Download<G> {
    fn drop(&mut self) {
        if let Some(upload) = &self.upload {
            upload.abort();
        }
    }
}
