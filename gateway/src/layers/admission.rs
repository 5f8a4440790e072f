//! Requests that come faster than the processor can answer them are refused at once, before they cost anything.

use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::error::table;
use crate::grpc::{frame, status};
use crate::http::respond;
use crate::operation::Front;
use crate::server::Overload;

#[derive(Debug, Clone)]
pub struct Admission {
    pub overload: Overload,
    pub front: Front,
}

impl<S> Layer<S> for Admission {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Admitted<S> {
        Admitted { inner, admission: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub struct Admitted<S> {
    inner: S,
    admission: Admission,
}

impl<S: ServeConnection> ServeConnection for Admitted<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        if let Some(_under_way) = self.admission.overload.enter() {
            return self.inner.serve(request).await;
        }
        match self.admission.front {
            // Whoever asks after the sidecar's health would start another one in its place.
            Front::Http if super::is_health(&request) => self.inner.serve(request).await,
            Front::Http => {
                let mut response = respond::error(&table::common::overloaded());
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                response
            }
            Front::Grpc => frame::status(&status::status(&table::common::overloaded())),
        }
    }
}
