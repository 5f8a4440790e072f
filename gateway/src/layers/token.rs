//! `DAPR_API_TOKEN`: callers must bring it (as daprd 1.18; health checks are exempt over HTTP).

use components::Secret;
use http::{Method, Request, Response, StatusCode};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::grpc::{frame, status};
use crate::http::respond;
use crate::operation::Front;

const HEADER: &str = "dapr-api-token";

#[derive(Debug, Clone)]
pub struct ApiToken {
    /// `None`: no token is asked for.
    pub token: Option<Secret>,
    pub front: Front,
}

impl<S> Layer<S> for ApiToken {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    guard: ApiToken,
}

impl<S: ServeConnection> ServeConnection for Guarded<S> {
    async fn serve(&self, mut request: Request<Body>) -> Response<Body> {
        let Some(token) = &self.guard.token else { return self.inner.serve(request).await };
        let given = request.headers().get(HEADER).map(http::HeaderValue::as_bytes);
        let matches = given.is_some_and(|given| same(given, token.reveal().as_bytes()));
        if !matches {
            match self.guard.front {
                Front::Http if is_health(&request) => {}
                Front::Http => return respond::text(StatusCode::UNAUTHORIZED, "invalid api token"),
                Front::Grpc => return unauthenticated(given.is_some()),
            }
        }
        request.headers_mut().remove(HEADER);
        self.inner.serve(request).await
    }
}

/// Compares in a time that does not tell how much matched.
fn same(given: &[u8], token: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(given, token).is_ok()
}

/// Whether a request asks after the health of the sidecar.
pub(super) fn is_health(request: &Request<Body>) -> bool {
    *request.method() == Method::GET
        && matches!(request.uri().path().trim_matches('/'), "v1.0/healthz" | "v1.0/healthz/outbound")
}

fn unauthenticated(was_given: bool) -> Response<Body> {
    let message =
        if was_given { "authentication error: api token mismatch" } else { "missing api token in request metadata" };
    let metadata =
        [("http.code", "401"), ("http.error_message", message)].map(|(key, value)| (key.to_owned(), value.to_owned()));
    frame::status(&status::with_details(
        tonic::Code::Unauthenticated,
        "Unauthorized",
        vec![status::error_info("Unauthorized", metadata)],
    ))
}
