//! The metrics port: one page, whatever the path (as daprd 1.18).

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response};

use crate::body::Body;
use crate::server::ServeConnection;
use crate::telemetry::Metrics;

#[derive(Clone)]
pub struct MetricsPage(pub Metrics);

impl ServeConnection for MetricsPage {
    async fn serve(&self, _request: Request<Body>) -> Response<Body> {
        let mut response = Response::new(Body::full(self.0.render()));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }
}
