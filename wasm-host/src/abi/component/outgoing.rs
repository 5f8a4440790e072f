//! `wasi:http/outgoing-handler`: requests leave through the sidecar alone.

use std::future::Future;
use std::time::Duration;

use http::{HeaderName, Request, Response, Uri};
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::link::Link;
use crate::body::Body;
use crate::sidecar::CallError;

/// Names the application or function that a request to `localhost` is for, as in Dapr.
const APP_ID: HeaderName = HeaderName::from_static("dapr-app-id");

/// Pieces of a body that wait for their reader, and the size of each at most: what an answer costs outside of the guest's
/// own memory.
const CHUNKS: usize = 16;
const CHUNK: usize = 64 << 10;

/// Sends what a guest wants to send.
pub(super) struct Outgoing {
    pub link: Link,
}

type Sent = (Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Outgoing {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Sent, Error>> + Send> {
        let link = self.link.clone();
        let options = options.unwrap_or_default();
        let request = request.map(|body| Body::stream(body.map_err(Into::into)));
        Box::new(async move {
            let answer = send(&link, request);
            let answer = match patience(&options) {
                Some(patience) => {
                    tokio::time::timeout(patience, answer).await.map_err(|_| Error::HttpResponseTimeout)?
                }
                None => answer.await,
            };
            let response = answer.map_err(|error| {
                link.note(&error);
                refused(error)
            })?;
            let response = response.map(|body| incoming(body, options.between_bytes_timeout));
            Ok((response, Box::new(std::future::ready(Ok(()))) as Box<_>))
        })
    }

    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        CHUNKS
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }
}

/// A connection and the first byte; the sidecar does not tell them apart.
fn patience(options: &RequestOptions) -> Option<Duration> {
    match (options.connect_timeout, options.first_byte_timeout) {
        (Some(connect), Some(first)) => Some(connect.saturating_add(first)),
        (one, other) => one.or(other),
    }
}

async fn send(link: &Link, mut request: Request<Body>) -> Result<Response<Body>, CallError> {
    if request.uri().host() != Some("localhost") {
        return link.sidecar.send(&link.caller, request).await;
    }
    let Some(id) = request.headers_mut().remove(APP_ID) else {
        return link.sidecar.send(&link.caller, request).await;
    };
    let id = id.to_str().map_err(|_| CallError::Invalid(format!("the header {APP_ID} is no text")))?.to_owned();
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    link.sidecar.invoke(&link.caller, &id, request).await
}

fn refused(error: CallError) -> Error {
    match error {
        CallError::Denied { .. } => Error::HttpRequestDenied,
        CallError::NotFound(_) => Error::DestinationNotFound,
        CallError::Invalid(_) => Error::HttpRequestUriInvalid,
        CallError::Unavailable(_) => Error::DestinationUnavailable,
        CallError::OutOfTime(_) => Error::HttpResponseTimeout,
        CallError::Conflict(text) | CallError::Failed(text) => Error::InternalError(Some(text)),
    }
}

/// A body for a guest; `pause` is how long it may have nothing to say.
pub(super) fn incoming(body: Body, pause: Option<Duration>) -> WasiBody {
    let body = body.map_err(|error| Error::InternalError(Some(error.to_string())));
    match pause {
        None => body.boxed_unsync(),
        Some(pause) => {
            let frames = futures::stream::unfold(Some(body), move |body| async move {
                let mut body = body?;
                match tokio::time::timeout(pause, body.frame()).await {
                    Ok(frame) => frame.map(|frame| (frame, Some(body))),
                    Err(_) => Some((Err(Error::ConnectionReadTimeout), None)),
                }
            });
            http_body_util::StreamBody::new(frames).boxed_unsync()
        }
    }
}
