//! Request metrics of a server: counts, latencies, sizes (as daprd 1.18).

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use tower::Layer;

use super::ServeConnection;
use super::api_log::grpc_code;
use crate::body::{Body, BodyError};
use crate::grpc::frame::Sizes;
use crate::operation::Front;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{GrpcCall, HttpCall};

/// Names the application that a gRPC call is for.
const APP_ID: &str = "dapr-app-id";

#[derive(Clone)]
pub struct CountRequests {
    pub metrics: Metrics,
    pub front: Front,
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.metrics.clone(), front: self.front }
    }
}

#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    metrics: Metrics,
    front: Front,
}

impl<S: ServeConnection> ServeConnection for Counted<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        if !self.metrics.is_enabled() {
            return self.inner.serve(request).await;
        }
        let started = Instant::now();
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let is_for_app = request.headers().contains_key(APP_ID);
        let request_bytes = request.body().size_hint().exact().unwrap_or(0);
        let response = self.inner.serve(request).await;
        let response_bytes = response.body().size_hint().exact().unwrap_or(0);
        let elapsed = started.elapsed();
        match self.front {
            Front::Http => self.metrics.http_server(&HttpCall {
                method: method.as_str(),
                path: &path,
                status: response.status().as_u16(),
                elapsed,
                request_bytes,
                response_bytes,
            }),
            Front::Grpc => {
                // Refused before it was read, or a stream that is no call of another application: not counted.
                let sizes = response.extensions().get::<Sizes>().copied();
                if sizes.is_none() && !is_for_app {
                    return response;
                }
                let call = GrpcCall {
                    method: &path,
                    code: grpc_code(&response),
                    request_bytes: sizes.map(|sizes| sizes.request),
                    response_bytes: sizes.map(|sizes| sizes.response),
                    elapsed,
                };
                if sizes.is_none() && !response.headers().contains_key("grpc-status") {
                    let metrics = self.metrics.clone();
                    return response.map(|body| at_end(body, metrics, path, started));
                }
                self.metrics.grpc_server(&call);
            }
        }
        response
    }
}

/// Counts a streamed call when its stream ends, with the status of its trailers.
fn at_end(body: Body, metrics: Metrics, path: String, started: Instant) -> Body {
    Body::stream(Ending { body, call: Some(Open { metrics, path, started, code: None }) })
}

struct Ending {
    body: Body,
    call: Option<Open>,
}

struct Open {
    metrics: Metrics,
    path: String,
    started: Instant,
    code: Option<i32>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.grpc_server(&GrpcCall {
            method: &self.path,
            // A stream that ends without trailers was cancelled.
            code: self.code.unwrap_or(1),
            request_bytes: None,
            response_bytes: None,
            elapsed: self.started.elapsed(),
        });
    }
}

impl http_body::Body for Ending {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let code = frame.trailers_ref().and_then(|trailers| trailers.get("grpc-status"));
                let code = code.and_then(|code| code.to_str().ok()?.parse().ok());
                if let (Some(call), Some(code)) = (&mut self.call, code) {
                    call.code = Some(code);
                }
            }
            Poll::Ready(None) => self.call = None,
            _ => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}
