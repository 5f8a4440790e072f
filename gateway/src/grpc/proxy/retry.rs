//! Policies around relayed calls (as daprd 1.18).
//!
//! A call that says it is a stream (`dapr-stream: true`) is under them until it has a connection. Any other is one until
//! its answer begins: with retries its one message is kept, and an answer that is only a failed status is tried again.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tonic::{Code, Status};

use super::{Relay, code_in};
use crate::blocks::invoke::{MAX_KEPT, Source};
use crate::body::{Body, BodyError};
use crate::error::go_status;
use crate::resiliency::{self, Failure, Policy, PolicyError};

const NO_STREAMS: &str = "cannot use resiliency policies with retries on streaming RPCs";
/// Bytes before a message.
const PREFIX: usize = 5;
const OK: i32 = 0;

/// A failed attempt.
enum Attempted {
    Failed {
        status: Status,
        again: bool,
    },
    /// An answer that is a failed status, as it came.
    Answered {
        response: Response<Body>,
        code: i32,
        again: bool,
    },
}

impl fmt::Display for Attempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { status, .. } => f.write_str(&go_status(status)),
            Self::Answered { code, .. } => {
                write!(f, "rpc error: code = {}", crate::error::go_code_name(Code::from(*code)))
            }
        }
    }
}

impl Failure for Attempted {
    fn code(&self) -> Option<resiliency::Code> {
        let code = match self {
            Self::Failed { status, .. } => status.code() as i32,
            Self::Answered { code, .. } => *code,
        };
        Some(resiliency::Code::Grpc(code))
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Failed { again, .. } | Self::Answered { again, .. } => *again,
        }
    }
}

fn settle(outcome: Result<Response<Body>, PolicyError<Attempted>>) -> Result<Response<Body>, Status> {
    outcome.or_else(|error| match error {
        PolicyError::Operation(Attempted::Answered { response, .. }) => Ok(response),
        PolicyError::Operation(Attempted::Failed { status, .. }) => Err(status),
        error => Err(refused(&error)),
    })
}

fn refused<E: fmt::Display>(error: &PolicyError<E>) -> Status {
    if error.is_timeout() { Status::deadline_exceeded(error.to_string()) } else { Status::unknown(error.to_string()) }
}

/// The policy holds until there is a connection.
pub(super) async fn connect_only(relay: &Relay<'_>, policy: &Policy, body: Body) -> Result<Response<Body>, Status> {
    let connected = policy
        .run(|| async { relay.connect().await.map_err(|status| Attempted::Failed { status, again: true }) })
        .await
        .map_err(|error| match error {
            PolicyError::Operation(Attempted::Failed { status, .. }) => status,
            error => refused(&error),
        })?;
    relay.send(connected, &Source::Once(Arc::new(Mutex::new(Some(body))))).await
}

/// The policy holds until the answer begins.
pub(super) async fn whole_call(relay: &Relay<'_>, policy: &Policy, mut body: Body) -> Result<Response<Body>, Status> {
    let first = if policy.has_retries() { first_message(&mut body).await? } else { First::Unknown(Bytes::new()) };
    match first {
        First::Unknown(read) => {
            let body = if read.is_empty() { body } else { body.preceded_by(read) };
            let source = Source::Once(Arc::new(Mutex::new(Some(body))));
            settle(policy.run(|| attempt(relay, source.clone(), false)).await)
        }
        First::Whole(first) => {
            let tail = Arc::new(Mutex::new(Tail { body: Some(body), is_stream: false }));
            let outcome = policy
                .run(|| {
                    let kept = Kept { first: Some(first.clone()), tail: tail.clone(), body: None };
                    attempt(relay, Source::Once(Arc::new(Mutex::new(Some(Body::stream(kept))))), true)
                })
                .await;
            if lock(&tail).is_stream {
                return Err(Status::failed_precondition(NO_STREAMS));
            }
            settle(outcome)
        }
    }
}

async fn attempt(relay: &Relay<'_>, source: Source, again: bool) -> Result<Response<Body>, Attempted> {
    let failed = |status| Attempted::Failed { status, again };
    let connected = relay.connect().await.map_err(failed)?;
    let response = relay.send(connected, &source).await.map_err(failed)?;
    if let Some(code) = code_in(response.headers()) {
        return if code == OK { Ok(response) } else { Err(Attempted::Answered { response, code, again }) };
    }
    if !again {
        return Ok(response);
    }
    // What an answer without a message says is only known from its end.
    let (parts, mut body) = response.into_parts();
    match body.frame().await {
        None => Ok(Response::from_parts(parts, Body::empty())),
        Some(Err(error)) => Err(failed(Status::internal(error.to_string()))),
        Some(Ok(frame)) => match frame.into_trailers() {
            Err(frame) => {
                let first = frame.into_data().unwrap_or_default();
                Ok(Response::from_parts(parts, body.preceded_by(first)))
            }
            Ok(trailers) => {
                let code = code_in(&trailers).unwrap_or(Code::Unknown as i32);
                let response = Response::from_parts(parts, only_trailers(trailers));
                if code == OK { Ok(response) } else { Err(Attempted::Answered { response, code, again }) }
            }
        },
    }
}

fn only_trailers(trailers: HeaderMap) -> Body {
    Body::stream(StreamBody::new(tokio_stream::once(Ok::<_, BodyError>(Frame::trailers(trailers)))))
}

/// What a call begins with.
enum First {
    /// All of its first message, and nothing more.
    Whole(Bytes),
    /// Too long to be kept.
    Unknown(Bytes),
}

/// Reads the first message.
async fn first_message(body: &mut Body) -> Result<First, Status> {
    let mut read = BytesMut::new();
    loop {
        if let Some((prefix, rest)) = read.split_first_chunk::<PREFIX>() {
            let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize;
            if length as u64 > MAX_KEPT {
                return Ok(First::Unknown(read.freeze()));
            }
            match rest.len().cmp(&length) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(First::Whole(read.freeze())),
                std::cmp::Ordering::Greater => return Err(Status::failed_precondition(NO_STREAMS)),
            }
        }
        match body.frame().await {
            None => return Ok(First::Whole(read.freeze())),
            Some(Err(error)) => return Err(Status::cancelled(error.to_string())),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    read.extend_from_slice(&data);
                }
            }
        }
    }
}

/// What follows the first message: nothing, or the call is a stream.
struct Tail {
    /// `None` once it has ended, and while an attempt waits for it.
    body: Option<Body>,
    is_stream: bool,
}

/// The first message, and then the end.
struct Kept {
    first: Option<Bytes>,
    tail: Arc<Mutex<Tail>>,
    body: Option<Body>,
}

impl http_body::Body for Kept {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if self.body.is_none() {
            let body = lock(&self.tail).body.take();
            self.body = body;
        }
        loop {
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match Pin::new(body).poll_frame(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Ok(frame))) if frame.data_ref().is_none_or(Bytes::is_empty) => {}
                Poll::Ready(Some(Ok(_))) => {
                    lock(&self.tail).is_stream = true;
                    return Poll::Ready(Some(Err(NO_STREAMS.into())));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    self.body = None;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        let has_ended = match &self.body {
            Some(body) => body.is_end_stream(),
            None => lock(&self.tail).body.as_ref().is_none_or(http_body::Body::is_end_stream),
        };
        self.first.is_none() && has_ended
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(body) = self.body.take() {
            lock(&self.tail).body = Some(body);
        }
    }
}

fn lock(tail: &Mutex<Tail>) -> MutexGuard<'_, Tail> {
    tail.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(text.as_bytes());
        bytes
    }

    fn pieces(pieces: Vec<Vec<u8>>) -> Body {
        let frames = pieces.into_iter().map(|piece| Ok::<_, BodyError>(Frame::data(Bytes::from(piece))));
        Body::stream(StreamBody::new(tokio_stream::iter(frames.collect::<Vec<_>>())))
    }

    #[tokio::test]
    async fn one_message_is_kept_and_a_second_one_refused() {
        let whole = message("hello");
        let mut body = pieces(vec![whole[..3].to_vec(), whole[3..].to_vec()]);
        let Ok(First::Whole(first)) = first_message(&mut body).await else { panic!("it is whole") };
        assert_eq!(first, whole);
        let mut two = pieces(vec![[message("a"), message("b")].concat()]);
        let Err(status) = first_message(&mut two).await else { panic!("there are two") };
        assert_eq!(status.code(), Code::FailedPrecondition);
        let long = "x".repeat(100_000);
        assert!(matches!(first_message(&mut pieces(vec![message(&long)])).await, Ok(First::Unknown(_))));
    }

    #[tokio::test]
    async fn what_follows_is_given_back_to_the_next_attempt() {
        let tail = Arc::new(Mutex::new(Tail { body: Some(pieces(vec![vec![1]])), is_stream: false }));
        let kept = || Kept { first: Some(Bytes::from_static(b"m")), tail: tail.clone(), body: None };
        let mut first = kept();
        assert_eq!(first.frame().await.unwrap().unwrap().into_data().unwrap(), "m");
        drop(first);
        assert!(lock(&tail).body.is_some());
        let mut second = kept();
        second.frame().await.unwrap().unwrap();
        assert_eq!(second.frame().await.unwrap().unwrap_err().to_string(), NO_STREAMS);
        assert!(lock(&tail).is_stream);
    }
}
