//! What Go's server refuses before any handler: header blocks longer than `--read-buffer-size` and Go's slack of 4096
//! (431), and paths with broken escapes (400), as daprd 1.18.

use http::{Request, Response, StatusCode};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::query::query_unescape;

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
            return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "431 Request Header Fields Too Large");
        }
        // Go's server reads no path with a broken escape.
        if query_unescape(request.uri().path()).is_err() {
            return refuse(StatusCode::BAD_REQUEST, "400 Bad Request");
        }
        self.inner.serve(request).await
    }
}

/// What Go's server answers before any handler sees the request.
fn refuse(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    response
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
