//! The body of an answer whose guest is still at work.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::http::Ended;
use crate::body::BodyError;
use crate::error::Error;

/// Reads what a guest writes. When the reader goes away before the end, the guest is stopped; after the end it may finish
/// what it does besides.
pub(super) struct Streamed {
    guest: Arc<str>,
    body: HyperOutgoingBody,
    task: Option<JoinHandle<Ended>>,
    /// Kept until the last frame is read.
    ended: Option<Ended>,
    /// Bytes that are still to come, where it is known.
    left: Option<u64>,
    is_over: bool,
}

impl Streamed {
    pub fn new(guest: &Arc<str>, body: HyperOutgoingBody, task: JoinHandle<Ended>, left: Option<u64>) -> Self {
        Self { guest: guest.clone(), body, task: Some(task), ended: None, left, is_over: false }
    }

    fn poll_written(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        Poll::Ready(match frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.left = self.left.map(|left| left.saturating_sub(length));
                Some(Ok(frame))
            }
            // Its reason is the guest's end, if that was no good one: a trap drops the body, too.
            Some(Err(_)) => Some(Err(self.reason("it dropped its body, or wrote less than its length"))),
            None => {
                self.is_over = true;
                None
            }
        })
    }

    fn reason(&mut self, otherwise: &str) -> Error {
        match self.ended.take() {
            Some(Ended { result: Err(error), .. }) => error,
            _ => broken_off(&self.guest, otherwise),
        }
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(frame) = this.poll_written(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if let Some(task) = &mut this.task {
            let joined = std::task::ready!(Pin::new(task).poll(context));
            this.task = None;
            match joined {
                Ok(ended) => this.ended = Some(ended),
                Err(error) => {
                    this.is_over = true;
                    return Poll::Ready(Some(Err(broken_off(&this.guest, &error.to_string()).into())));
                }
            }
        }
        // Whatever it wrote is there by now.
        let frame = match poll_what_is_there(|context| this.poll_written(context), context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                this.is_over = true;
                Some(Err(this.reason("it returned without finishing its body")))
            }
        };
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Streamed {
    fn drop(&mut self) {
        if let Some(task) = &self.task
            && !self.is_over
            && self.left != Some(0)
        {
            task.abort();
        }
    }
}

/// Polls without tokio's budget: what is `Pending` then is not there, and not just for another turn.
pub(super) fn poll_what_is_there<T>(
    poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    context: &mut Context<'_>,
) -> Poll<T> {
    pin!(tokio::task::unconstrained(poll_fn(poll))).poll(context)
}

pub(super) fn broken_off(guest: &str, reason: &str) -> Error {
    Error::BrokenOff { guest: guest.to_owned(), reason: reason.to_owned() }
}
