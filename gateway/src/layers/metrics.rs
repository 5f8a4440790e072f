//! Request metrics of a server: counts, latencies, sizes (as daprd 1.18).

use std::time::Instant;

use http::{Request, Response};
use http_body::Body as _;
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::operation::Front;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{GrpcCall, HttpCall};

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
            Front::Grpc => self.metrics.grpc_server(&GrpcCall {
                method: &path,
                code: super::api_log::grpc_code(&response),
                elapsed,
                sent_bytes: response_bytes,
                received_bytes: request_bytes,
            }),
        }
        response
    }
}
