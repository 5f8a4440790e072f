//! What Go's server refuses before any handler, as daprd 1.18: header blocks longer than `--read-buffer-size` and Go's
//! slack of 4096 (431), paths with broken escapes, no host or several (400), transfer codings but `chunked` (501),
//! expectations that nobody meets (417).

use http::header::{EXPECT, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, Version};
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
        if let Some((status, text)) = fault(&request) {
            return refuse(status, text);
        }
        // It asks for the server itself, not for anything that it serves.
        if request.method() == Method::OPTIONS && request.uri().path() == "*" {
            return Response::new(Body::empty());
        }
        self.inner.serve(request).await
    }
}

/// What is wrong with a request whose syntax is right. Two readings of where it ends, or of whom it is for, are one
/// too many: another server on its way may choose the other.
fn fault(request: &Request<Body>) -> Option<(StatusCode, &'static str)> {
    let (path, headers) = (request.uri().path(), request.headers());
    // Go's server reads no path with a broken escape.
    if path.contains('%') && query_unescape(path).is_err() {
        return Some((StatusCode::BAD_REQUEST, "400 Bad Request"));
    }
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() == Version::HTTP_11 => {
            return Some((StatusCode::BAD_REQUEST, "400 Bad Request: missing required Host header"));
        }
        (Some(host), None) if !host.as_bytes().iter().all(may_be_in_host) => {
            return Some((StatusCode::BAD_REQUEST, "400 Bad Request: malformed Host header"));
        }
        (Some(_), Some(_)) => return Some((StatusCode::BAD_REQUEST, "400 Bad Request")),
        _ => {}
    }
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some() || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked")) {
        return Some((StatusCode::NOT_IMPLEMENTED, "Unsupported transfer encoding"));
    }
    let expectation = headers.get(EXPECT).map(HeaderValue::as_bytes);
    expectation
        .is_some_and(|wanted| !wanted.is_empty() && !wanted.eq_ignore_ascii_case(b"100-continue"))
        .then_some((StatusCode::EXPECTATION_FAILED, ""))
}

fn may_be_in_host(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!$%&'()*+,-.:;=[]_~".contains(byte)
}

/// What Go's server answers before any handler sees the request.
fn refuse(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if !text.is_empty() {
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    headers.insert(http::header::CONNECTION, HeaderValue::from_static("close"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_two_readings_are_refused() {
        let refused = |headers: &[(&str, &str)], path: &str| {
            let mut request = Request::get(path);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            fault(&request.body(Body::empty()).unwrap()).map_or(200, |(status, _)| status.as_u16())
        };
        assert_eq!(refused(&[("host", "a:80")], "/a%20b"), 200);
        assert_eq!(refused(&[("host", "a")], "/a%zz"), 400);
        assert_eq!(refused(&[], "/"), 400);
        assert_eq!(refused(&[("host", "a"), ("host", "b")], "/"), 400);
        assert_eq!(refused(&[("host", "a b")], "/"), 400);
        assert_eq!(refused(&[("host", "a"), ("transfer-encoding", "Chunked")], "/"), 200);
        assert_eq!(refused(&[("host", "a"), ("transfer-encoding", "gzip, chunked")], "/"), 501);
        assert_eq!(refused(&[("host", "a"), ("expect", "100-Continue")], "/"), 200);
        assert_eq!(refused(&[("host", "a"), ("expect", "more")], "/"), 417);
    }
}
