//! A panic in one call is that call's failure, not the process's.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use http::{Request, Response};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::error::ApiError;
use crate::grpc::{frame, status};
use crate::http::respond;
use crate::operation::Front;

#[derive(Debug, Clone)]
pub struct CatchPanic {
    pub front: Front,
}

impl<S> Layer<S> for CatchPanic {
    type Service = Caught<S>;

    fn layer(&self, inner: S) -> Caught<S> {
        Caught { inner, front: self.front }
    }
}

#[derive(Debug, Clone)]
pub struct Caught<S> {
    inner: S,
    front: Front,
}

impl<S: ServeConnection> ServeConnection for Caught<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let method = request.method().clone();
        let uri = request.uri().clone();
        match AssertUnwindSafe(self.inner.serve(request)).catch_unwind().await {
            Ok(response) => response,
            Err(panic) => {
                let text = panic
                    .downcast_ref::<&str>()
                    .copied()
                    .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
                    .unwrap_or("no message");
                tracing::error!(target: "dapr.runtime", "A call ended in a panic: {method} {}: {text}", uri.path());
                let error = ApiError::unknown("the sidecar failed to answer this call; its log says why");
                match self.front {
                    Front::Http => respond::error(&error),
                    Front::Grpc => frame::status(&status::status(&error.with_grpc(tonic::Code::Internal))),
                }
            }
        }
    }
}
