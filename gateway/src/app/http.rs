//! Calls of an HTTP application.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, RANGE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;

use super::gzip::unpacked;
use super::{AppChannel, AppError, TOKEN_HEADER, Transport};
use crate::body::{Body, BodyError};
use crate::client::ClientError;
use crate::pipeline::Pipeline;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::HttpCall;

impl AppChannel {
    /// Sends a request, whose URI is path and query, through the user's pipeline to an HTTP application. Bodies are
    /// relayed both ways; the response's body holds the concurrency slot.
    ///
    /// The application's token is added, redirects are passed on, and the answer is as [`finish_response`] leaves it.
    pub async fn invoke(&self, request: Request<Body>) -> Result<Response<Body>, AppError> {
        self.gate()?;
        let slot = self.slot().await;
        let pipeline = self.inner.pipeline.load_full();
        let response = through(&pipeline, &self.inner.metrics, request, |request| self.exchange(request)).await?;
        Ok(match slot {
            None => response,
            Some(slot) => response.map(|body| body.with_guard(slot)),
        })
    }

    async fn exchange(&self, mut request: Request<Body>) -> Result<Response<Body>, AppError> {
        if let Some(token) = &self.inner.token {
            request.headers_mut().insert(TOKEN_HEADER, token.clone());
        }
        let method = request.method().clone();
        let uri = request.uri().clone();
        let asked_for_gzip = asks_for_encoding(&request);
        let response = self.send(request).await;
        let response = response.map_err(|error| AppError::exchange(&method, &self.inner.origin, &uri, &error))?;
        Ok(finish_response(response, asked_for_gzip))
    }

    /// One exchange, as it is: no gate, no slot, no pipeline, no token.
    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, ClientError> {
        match &self.inner.transport {
            Transport::Http1(pool) => pool.send(request).await,
            Transport::Http2(pool) => pool.send(request).await,
            Transport::Grpc(_) => {
                Err(ClientError::request("the application speaks gRPC and takes no HTTP requests (--app-protocol)"))
            }
        }
    }
}

/// Sets off what failed behind a pipeline.
#[derive(Clone)]
struct Failed(AppError);

/// Sends a request through a pipeline, counted as a call of the application; `exchange` stands behind the pipeline.
pub(crate) async fn through<F, Fut>(
    pipeline: &Pipeline,
    metrics: &Metrics,
    request: Request<Body>,
    exchange: F,
) -> Result<Response<Body>, AppError>
where
    F: Fn(Request<Body>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Response<Body>, AppError>> + Send,
{
    let counted = metrics.is_enabled().then(|| {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let request_bytes = request.body().size_hint().exact().unwrap_or(0);
        metrics.http_client_started(method.as_str(), &path, request_bytes);
        (method, path, request_bytes, Instant::now())
    });
    let outcome = if pipeline.is_empty() {
        exchange(request).await
    } else {
        let response = pipeline
            .run(request, |request| {
                let answer = exchange(request);
                Box::pin(async {
                    answer.await.unwrap_or_else(|error| {
                        let mut response = Response::new(Body::empty());
                        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                        response.extensions_mut().insert(Failed(error));
                        response
                    })
                })
            })
            .await;
        match response.extensions().get::<Failed>() {
            Some(Failed(error)) => Err(error.clone()),
            None => Ok(response),
        }
    };
    if let Some((method, path, request_bytes, started)) = counted {
        let (status, response_bytes) = match &outcome {
            Ok(response) => (response.status().as_u16(), response.body().size_hint().exact().unwrap_or(0)),
            Err(_) => (500, 0),
        };
        metrics.http_client_completed(&HttpCall {
            method: method.as_str(),
            path: &path,
            status,
            request_bytes,
            response_bytes,
            elapsed: started.elapsed(),
        });
    }
    outcome
}

/// Whether the caller wants an encoding, or a part: then the answer is passed on as it is.
pub(crate) fn asks_for_encoding(request: &Request<Body>) -> bool {
    let headers = request.headers();
    *request.method() == Method::HEAD || headers.contains_key(ACCEPT_ENCODING) || headers.contains_key(RANGE)
}

/// An answer without what concerns only the connection it came over; gzip that the caller did not ask for is unpacked
/// (as Go's client). The length is what the body says.
pub fn finish_response(response: Response<Body>, asked_for_encoding: bool) -> Response<Body> {
    let (mut parts, mut body) = response.into_parts();
    // Go's client forgets the whole header when it says `close`, and with it the names.
    let closes = has_token(&parts.headers, "close");
    if closes {
        parts.headers.remove(CONNECTION);
    }
    crate::client::hop::strip(&mut parts.headers);
    parts.headers.remove(CONTENT_LENGTH);
    let is_gzip =
        parts.headers.get(CONTENT_ENCODING).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"gzip"));
    if is_gzip && !asked_for_encoding && !body.is_end_stream() {
        parts.headers.remove(CONTENT_ENCODING);
        body = unpacked(body);
    } else {
        body = with_true_length(body);
    }
    Response::from_parts(parts, body)
}

/// A body whose stated length is only kept when all of it is there: applications state wrong lengths, and a caller must
/// get what came as a whole answer (as daprd 1.18).
fn with_true_length(mut body: Body) -> Body {
    if body.size_hint().exact().is_none_or(|length| length == 0) {
        return body;
    }
    match body.frame().now_or_never() {
        None => Body::stream(OfAnyLength { body }),
        Some(Some(Ok(frame))) if frame.is_data() => {
            let first = frame.into_data().unwrap_or_default();
            // What holds the connection goes with the rest of the body.
            if body.is_end_stream() {
                Body::full(first)
            } else {
                Body::stream(OfAnyLength { body: body.preceded_by(first) })
            }
        }
        Some(other) => match other {
            Some(Err(error)) if !is_cut_short(&error) => {
                Body::stream(http_body_util::StreamBody::new(tokio_stream::once(Err::<Frame<Bytes>, _>(error))))
            }
            _ => Body::empty(),
        },
    }
}

/// A body without its stated length, which may end before it.
struct OfAnyLength {
    body: Body,
}

impl http_body::Body for OfAnyLength {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Err(error))) if is_cut_short(&error) => Poll::Ready(None),
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

/// Whether a body has ended before the length that was stated.
fn is_cut_short(error: &BodyError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof)
        {
            return true;
        }
        cause = error.source();
    }
    false
}

fn has_token(headers: &HeaderMap, token: &str) -> bool {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .any(|line| line.split(',').any(|word| word.trim().eq_ignore_ascii_case(token)))
}
