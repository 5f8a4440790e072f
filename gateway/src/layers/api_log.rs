//! API logging: a line for each call (as daprd 1.18, scopes `dapr.runtime.http-info` and `dapr.runtime.grpc.api-info`).

use std::time::Instant;

use http::{Request, Response, header::USER_AGENT};
use http_body::Body as _;
use percent_encoding::percent_decode_str;
use tower::Layer;

use super::ServeConnection;
use crate::body::Body;
use crate::catalog::is_unary_grpc_path;
use crate::http::Answered;
use crate::operation::Front;

#[derive(Debug, Clone)]
pub struct ApiLog {
    pub front: Front,
    pub enabled: bool,
    /// Log operation names in place of paths.
    pub obfuscate_urls: bool,
    pub omit_health_checks: bool,
}

impl<S> Layer<S> for ApiLog {
    type Service = Logged<S>;

    fn layer(&self, inner: S) -> Logged<S> {
        Logged { inner, log: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub struct Logged<S> {
    inner: S,
    log: ApiLog,
}

impl<S: ServeConnection> ServeConnection for Logged<S> {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        if !self.log.enabled {
            return self.inner.serve(request).await;
        }
        let started = Instant::now();
        let verb = request.method().clone();
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy().into_owned();
        let agent =
            request.headers().get(USER_AGENT).map(|agent| String::from_utf8_lossy(agent.as_bytes()).into_owned());
        let response = self.inner.serve(request).await;
        let duration = started.elapsed().as_millis();
        match self.log.front {
            Front::Http => self.http_line(&verb, &path, agent, duration, &response),
            // As daprd: streams are not logged, and proxied calls are streams.
            Front::Grpc if !is_unary_grpc_path(&path) => {}
            Front::Grpc => {
                let code = grpc_code(&response);
                tracing::info!(
                    target: "dapr.runtime.grpc.api-info",
                    code, duration, method = path, useragent = agent,
                    "gRPC API Called"
                );
            }
        }
        response
    }
}

impl<S> Logged<S> {
    fn http_line(
        &self,
        verb: &http::Method,
        path: &str,
        agent: Option<String>,
        duration: u128,
        response: &Response<Body>,
    ) {
        let answered = response.extensions().get::<Answered>();
        let is_health = answered.is_some_and(|answered| answered.row.group == "healthz");
        if is_health && self.log.omit_health_checks {
            return;
        }
        let method = if self.log.obfuscate_urls {
            answered.map(|answered| answered.name.to_string()).unwrap_or_default()
        } else {
            format!("{verb} {path}")
        };
        let size = response.body().size_hint().exact().unwrap_or(0);
        tracing::info!(
            target: "dapr.runtime.http-info",
            code = response.status().as_u16(), duration, method, size, useragent = agent,
            "HTTP API Called"
        );
    }
}

/// The status of an answer that is known before its body; a stream counts as OK.
pub(super) fn grpc_code(response: &Response<Body>) -> i32 {
    response
        .headers()
        .get("grpc-status")
        .and_then(|code| code.to_str().ok())
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}
