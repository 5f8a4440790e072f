//! Bodies that may have to be sent twice.
//!
//! A short body of known length is kept; any other is given out once. Until something has been read of it, it can still
//! be given to somebody else.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use super::call::{AppCall, CallHead};
use crate::body::{Body, BodyError, collect};

/// The most that is kept of a body.
pub const MAX_KEPT: u64 = 64 * 1024;

/// A call that is made once, or as often as needed.
pub struct Outgoing {
    head: Mutex<Option<CallHead>>,
    pub source: Source,
    /// Whether it may be tried again after it has failed.
    pub is_repeatable: bool,
    pub is_stream: bool,
}

/// Where the body comes from. Cheap to clone.
#[derive(Clone)]
pub enum Source {
    Kept(Bytes),
    Once(Arc<Mutex<Option<Body>>>),
}

impl Outgoing {
    /// The call as it is, for one attempt.
    pub fn once(call: AppCall) -> Self {
        let AppCall { head, body, is_stream } = call;
        let source = match body.as_full() {
            Some(bytes) => Source::Kept(bytes),
            None => Source::Once(Arc::new(Mutex::new(Some(body)))),
        };
        Self { head: Mutex::new(Some(head)), source, is_repeatable: false, is_stream }
    }

    /// Keeps the body when it is short.
    ///
    /// # Errors
    /// The body broke off.
    pub async fn keep(call: AppCall) -> Result<Self, BodyError> {
        let AppCall { head, body, is_stream } = call;
        let length = body.size_hint().exact();
        if is_stream || length.is_none_or(|length| length > MAX_KEPT) {
            return Ok(Self::once(AppCall { head, body, is_stream }));
        }
        let bytes = match body.as_full() {
            Some(bytes) => bytes,
            None => collect(body, 0).await?,
        };
        Ok(Self { head: Mutex::new(Some(head)), source: Source::Kept(bytes), is_repeatable: true, is_stream: false })
    }

    /// The call for the next attempt; `None` when there was one and no other may follow.
    pub fn next(&self) -> Option<CallHead> {
        let mut head = lock(&self.head);
        if self.is_repeatable { head.clone() } else { head.take() }
    }
}

impl Source {
    /// The body for an attempt.
    pub fn open(&self) -> Body {
        match self {
            Self::Kept(bytes) => Body::full(bytes.clone()),
            Self::Once(slot) => Body::stream(Opened { slot: slot.clone(), body: None }),
        }
    }

    /// The body, when it is certain that there is one attempt only.
    pub fn take(&self) -> Body {
        match self {
            Self::Kept(bytes) => Body::full(bytes.clone()),
            Self::Once(slot) => lock(slot).take().unwrap_or_default(),
        }
    }

    /// Whether the whole body can be given out (again).
    pub fn is_whole(&self) -> bool {
        match self {
            Self::Kept(_) => true,
            Self::Once(slot) => lock(slot).is_some(),
        }
    }
}

/// Takes the body out when it is first asked for something.
struct Opened {
    slot: Arc<Mutex<Option<Body>>>,
    body: Option<Body>,
}

impl http_body::Body for Opened {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.body.is_none() {
            let body = lock(&self.slot).take();
            self.body = body;
        }
        match &mut self.body {
            None => Poll::Ready(None),
            Some(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.body {
            Some(body) => body.is_end_stream(),
            None => lock(&self.slot).as_ref().is_none_or(Body::is_end_stream),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.body {
            Some(body) => body.size_hint(),
            None => lock(&self.slot).as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, StreamBody};

    use super::*;
    use crate::operation::Front;

    fn call(body: Body, is_stream: bool) -> AppCall {
        let head = CallHead {
            method: "m".into(),
            verb: None,
            query: String::new(),
            headers: http::HeaderMap::new(),
            content_type: None,
            type_url: String::new(),
            origin: Front::Http,
        };
        AppCall { head, body, is_stream }
    }

    fn stream() -> Body {
        let frames = ["ab", "cd"].map(|text| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(text.as_bytes()))));
        Body::stream(StreamBody::new(tokio_stream::iter(frames)))
    }

    #[tokio::test]
    async fn short_bodies_are_given_out_as_often_as_needed() {
        let outgoing = Outgoing::keep(call(Body::full("abc"), false)).await.unwrap();
        for _ in 0..2 {
            assert!(outgoing.next().is_some());
            assert_eq!(outgoing.source.open().collect().await.unwrap().to_bytes(), "abc");
        }
    }

    #[tokio::test]
    async fn streams_are_given_out_once_but_stay_whole_until_they_are_read() {
        let outgoing = Outgoing::keep(call(stream(), true)).await.unwrap();
        assert!(!outgoing.is_repeatable);
        drop(outgoing.source.open());
        assert!(outgoing.source.is_whole());
        let mut body = outgoing.source.open();
        body.frame().await.unwrap().unwrap();
        assert!(!outgoing.source.is_whole());
        assert!(outgoing.next().is_some());
        assert!(outgoing.next().is_none());
    }
}
