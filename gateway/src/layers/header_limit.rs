//! `--read-buffer-size`: longer header blocks get 431 (as daprd 1.18: the flag's bytes and Go's slack of 4096).

use http::{Request, Response, StatusCode};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;

/// What Go's server reads beyond its limit.
const SLACK: usize = 4096;

#[derive(Debug, Clone)]
pub struct HeaderLimit {
    /// The flag's value, in bytes.
    pub limit: usize,
}

impl<S> Layer<S> for HeaderLimit {
    type Service = Limited<S>;

    fn layer(&self, inner: S) -> Limited<S> {
        Limited { inner, most: self.limit + SLACK }
    }
}

#[derive(Debug, Clone)]
pub struct Limited<S> {
    inner: S,
    most: usize,
}

impl<S: ServeConnection> ServeConnection for Limited<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        if size(&request) > self.most {
            let mut response = Response::new(Body::full("431 Request Header Fields Too Large"));
            *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            response.headers_mut().insert(
                http::header::CONTENT_TYPE,
                http::HeaderValue::from_static("text/plain; charset=utf-8"),
            );
            response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            return response;
        }
        self.inner.serve(request).await
    }
}

/// The bytes of the request line and the header lines.
fn size(request: &Request<Body>) -> usize {
    let uri = request.uri();
    let line = request.method().as_str().len()
        + uri.path().len()
        + uri.query().map_or(0, |query| query.len() + 1)
        + " HTTP/1.1\r\n ".len();
    let headers: usize =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum();
    line + headers + "\r\n".len()
}
