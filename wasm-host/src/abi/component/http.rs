//! `wasi:http/incoming-handler`: a request, a guest, an answer.
//!
//! The guest runs in its caller's task until its answer has begun. Most guests are at their end then, and the answer is
//! bytes at hand. One that goes on gets a task of its own, which ends with the answer's reader (see [`super::response`]).

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::header::{HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as _;
use tokio::sync::oneshot;
use wasmtime::Store;
use wasmtime::component::Resource;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;
use wasmtime_wasi_http::p2::types::{HostIncomingRequest, HostResponseOutparam};

use super::Inner;
use super::outgoing::incoming;
use super::response::{Streamed, broken_off, poll_what_is_there};
use super::state::State;
use crate::body::Body;
use crate::error::{Error, Result};
use crate::log::Level;
use crate::sidecar::Caller;
use crate::store::{begin, within};

/// A guest at its end. The store goes last: an answer that the guest has not finished stays open as long as it is there.
pub(super) struct Ended {
    pub result: Result<()>,
    pub _store: Store<State>,
}

/// Answers a request with a fresh guest.
pub(super) async fn handle(inner: &Arc<Inner>, caller: &Caller, mut request: Request<Body>) -> Result<Response<Body>> {
    let guest = &inner.guest;
    let Some(pre) = &inner.http else {
        let reason = format!("the component {guest} takes messages only: it exports no wasi:http/incoming-handler");
        return Err(Error::Contract { guest: guest.to_string(), reason });
    };
    // A guest's request has an authority, whatever came.
    if request.uri().authority().is_none() && request.headers().get(HOST).is_none_or(|host| host.to_str().is_err()) {
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    }
    let is_head = request.method() == Method::HEAD;
    let scheme = if request.uri().scheme_str() == Some("https") { Scheme::Https } else { Scheme::Http };
    let mut store = State::store(inner, caller)?;
    let (sender, mut answer) = oneshot::channel();
    let defect = |error: wasmtime::Error| Error::Engine(format!("{error:#}"));
    let mut http = store.data_mut().http();
    let request = http.new_incoming_request(scheme, request.map(|body| incoming(body, None))).map_err(defect)?;
    let out = http.new_response_outparam(sender).map_err(defect)?;
    let mut running = Box::pin(run(inner.clone(), pre.clone(), store, request, out));
    let mut has_had_its_turn = false;
    let ended = poll_fn(|context| match running.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if answer.is_empty() => Poll::Pending,
        Poll::Pending if has_had_its_turn => Poll::Ready(None),
        // Most often it only gave way at a tick, and is about to end.
        Poll::Pending => {
            has_had_its_turn = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    });
    match (ended.await, answer.try_recv()) {
        (Some(Ended { result: Err(error), .. }), _) => Err(error),
        (_, Ok(Err(code))) => Err(no_answer(guest, format!("its handler gave the error {code:?}"))),
        (Some(ended), Ok(Ok(response))) => whole(guest, response, ended),
        (Some(_), Err(_)) => Err(no_answer(guest, "its handler returned without setting a response".to_owned())),
        (None, Ok(Ok(response))) => Ok(streamed(inner, response, running, is_head)),
        // The answer was there a moment ago, and nobody else takes it.
        (None, Err(_)) => Err(no_answer(guest, "its response was lost".to_owned())),
    }
}

/// Runs a guest to its end.
async fn run(
    inner: Arc<Inner>,
    pre: ProxyPre<State>,
    mut store: Store<State>,
    request: Resource<HostIncomingRequest>,
    out: Resource<HostResponseOutparam>,
) -> Ended {
    let _running = inner.engine.running();
    let called = within(inner.settings.limits, async {
        let guest = pre.instantiate_async(&mut store).await?;
        begin(&inner.engine, &mut store)?;
        guest.wasi_http_incoming_handler().call_handle(&mut store, request, out).await
    });
    let called = called.await;
    let result = match store.data().end(called) {
        Err(Error::Exit(0)) => Ok(()),
        other => other,
    };
    Ended { result, _store: store }
}

/// The answer of a guest that is at its end: all of it is there.
fn whole(guest: &str, response: Response<HyperOutgoingBody>, ended: Ended) -> Result<Response<Body>> {
    let (head, mut body) = response.into_parts();
    let (mut first, mut rest, mut trailers) = (Bytes::new(), BytesMut::new(), HeaderMap::new());
    let mut context = Context::from_waker(std::task::Waker::noop());
    loop {
        match poll_what_is_there(|context| Pin::new(&mut body).poll_frame(context), &mut context) {
            Poll::Ready(None) => break,
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if first.is_empty() => first = data,
                Ok(data) => rest.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
            },
            Poll::Ready(Some(Err(_))) => {
                return Err(broken_off(guest, "it dropped its body, or wrote less than its length"));
            }
            Poll::Pending => return Err(broken_off(guest, "it returned without finishing its body")),
        }
    }
    drop(ended);
    if !rest.is_empty() {
        let mut all = BytesMut::from(first);
        all.unsplit(rest);
        first = all.freeze();
    }
    Ok(Response::from_parts(head, Body::kept(first, trailers)))
}

/// The answer of a guest that goes on.
fn streamed(
    inner: &Arc<Inner>,
    response: Response<HyperOutgoingBody>,
    running: Pin<Box<impl Future<Output = Ended> + Send + 'static>>,
    is_head: bool,
) -> Response<Body> {
    let log = inner.settings.log.clone();
    let task = tokio::spawn(async move {
        let ended = running.await;
        // The answer has begun: nobody else will hear of it.
        if let Err(error) = &ended.result {
            log.write(Level::Error, &error.to_string());
        }
        ended
    });
    let is_bodiless = is_head || matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let (head, body) = response.into_parts();
    let body = Streamed::new(&inner.guest, body, task, if is_bodiless { Some(0) } else { length(&head.headers) });
    Response::from_parts(head, Body::stream(body))
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn no_answer(guest: &str, reason: String) -> Error {
    Error::NoAnswer { guest: guest.to_owned(), reason }
}
