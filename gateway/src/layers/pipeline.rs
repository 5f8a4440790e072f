//! `spec.httpPipeline`: the user's middleware, around the API.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::pipeline::Pipeline;

/// Replaced when resources change; an empty pipeline costs nothing.
#[derive(Clone)]
pub struct UserPipeline {
    pub pipeline: Arc<ArcSwap<Pipeline>>,
}

impl<S> Layer<S> for UserPipeline {
    type Service = Piped<S>;

    fn layer(&self, inner: S) -> Piped<S> {
        Piped { inner, pipeline: self.pipeline.clone() }
    }
}

#[derive(Clone)]
pub struct Piped<S> {
    inner: S,
    pipeline: Arc<ArcSwap<Pipeline>>,
}

impl<S: ServeConnection> ServeConnection for Piped<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let pipeline = self.pipeline.load_full();
        if pipeline.is_empty() {
            return self.inner.serve(request).await;
        }
        pipeline.run(request, |request| Box::pin(self.inner.serve(request))).await
    }
}
