//! Server reflection, both versions, over every definition that this binary knows.

use std::sync::OnceLock;

use http::{Response, request};
use http_body_util::BodyExt;
use tonic::Status;
use tower::ServiceExt;

use super::frame;

use crate::body::Body;
use crate::catalog::SERVICE;

/// Made at the first call: reading all definitions takes longer than the rest of a sidecar's start, and most of its
/// memory.
#[derive(Default)]
pub struct Reflection {
    routes: OnceLock<Option<axum::Router>>,
}

impl Reflection {
    /// Answers a call of either version.
    pub async fn call(&self, parts: request::Parts, body: Body) -> Response<Body> {
        let Some(routes) = self.routes.get_or_init(routes).clone() else {
            return frame::status(&Status::unavailable("the service definitions could not be read"));
        };
        let request = http::Request::from_parts(parts, axum::body::Body::new(body));
        match routes.oneshot(request).await {
            Ok(response) => response.map(|body| Body::stream(body.map_err(|error| error.into_inner()))),
            Err(never) => match never {},
        }
    }
}

fn routes() -> Option<axum::Router> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto_dapr::FILE_DESCRIPTOR_SET)
            .with_service_name(SERVICE)
    };
    let (v1, v1alpha) = (builder().build_v1().ok()?, builder().build_v1alpha().ok()?);
    Some(tonic::service::Routes::new(v1).add_service(v1alpha).prepare().into_axum_router())
}
