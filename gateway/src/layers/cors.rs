//! `--allowed-origins`: cross-origin requests of browsers (as daprd 1.18).

use std::sync::Arc;

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderValue, ORIGIN, VARY,
};
use http::{HeaderMap, Method, Request, Response};
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;

const METHODS: [&str; 6] = ["HEAD", "GET", "POST", "PUT", "PATCH", "DELETE"];

/// Who may call from a browser.
#[derive(Debug, Clone)]
pub enum Cors {
    /// The flag is empty: no header is ever set.
    Off,
    Any,
    /// Exactly these origins.
    Origins(Arc<[String]>),
}

impl Cors {
    /// From the flag: empty, `*`, or a comma-separated list.
    pub fn from_flag(flag: &str) -> Self {
        match flag {
            "" => Self::Off,
            "*" => Self::Any,
            list => Self::Origins(list.split(',').map(|origin| origin.trim().to_ascii_lowercase()).collect()),
        }
    }

    fn allow(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        match self {
            Self::Off => None,
            Self::Any => Some(HeaderValue::from_static("*")),
            Self::Origins(origins) => {
                let text = origin.to_str().ok()?.to_ascii_lowercase();
                origins.contains(&text).then(|| origin.clone())
            }
        }
    }
}

impl<S> Layer<S> for Cors {
    type Service = WithCors<S>;

    fn layer(&self, inner: S) -> WithCors<S> {
        WithCors { inner, cors: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub struct WithCors<S> {
    inner: S,
    cors: Cors,
}

impl<S: ServeConnection> ServeConnection for WithCors<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        if matches!(self.cors, Cors::Off) {
            return self.inner.serve(request).await;
        }
        if *request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
            return self.preflight(request.headers());
        }
        let origin = request.headers().get(ORIGIN).and_then(|origin| self.cors.allow(origin));
        let allowed = METHODS.contains(&request.method().as_str()) || *request.method() == Method::OPTIONS;
        let mut response = self.inner.serve(request).await;
        response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = origin.filter(|_| allowed) {
            response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        response
    }
}

impl<S> WithCors<S> {
    fn preflight(&self, asked: &HeaderMap) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
            headers.append(VARY, HeaderValue::from_static(name));
        }
        let origin = asked.get(ORIGIN).and_then(|origin| self.cors.allow(origin));
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD).filter(|method| {
            method.to_str().is_ok_and(|method| METHODS.iter().any(|known| known.eq_ignore_ascii_case(method)))
        });
        let (Some(origin), Some(method)) = (origin, method) else { return response };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Ok(method) = HeaderValue::from_str(&String::from_utf8_lossy(method.as_bytes()).to_ascii_uppercase()) {
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        }
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).and_then(canonical_list) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
        }
        response
    }
}

/// The asked header names in Go's canonical spelling.
fn canonical_list(names: &HeaderValue) -> Option<HeaderValue> {
    let names = names.to_str().ok()?;
    let list: Vec<String> =
        names.split([',', ' ']).filter(|name| !name.is_empty()).map(crate::http::canonical_name).collect();
    HeaderValue::from_str(&list.join(", ")).ok()
}
