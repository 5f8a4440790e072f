//! Measures of the HTTP server and of HTTP calls to the app.

use std::borrow::Cow;
use std::time::Duration;

use super::catalog::Measure::*;
use super::{Metrics, whole_millis};

/// A call that came to an end.
#[derive(Debug, Clone, Copy)]
pub struct HttpCall<'a> {
    pub method: &'a str,
    /// The path as it came, without query.
    pub path: &'a str,
    pub status: u16,
    /// The stated length of the request's body, 0 when it states none.
    pub request_bytes: u64,
    pub response_bytes: u64,
    pub elapsed: Duration,
}

impl Metrics {
    /// The label for a path of the API server. Take it before a handler changes the path.
    pub fn http_path_label<'a>(&self, path: &'a str) -> Cow<'a, str> {
        self.inner.as_ref().map_or(Cow::Borrowed(""), |inner| inner.paths.server(path))
    }

    /// A request to the API server was answered.
    pub fn http_server(&self, call: &HttpCall<'_>) {
        self.with(|inner| {
            let mut status = itoa::Buffer::new();
            let path = inner.paths.server(call.path);
            let app = inner.app_id.as_str();
            let labels = [app, inner.paths.method(call.method), &path, status.format(call.status)];
            inner.count_and_observe(HttpServerRequestCount, HttpServerLatency, &labels, whole_millis(call.elapsed));
            if inner.paths.increased_cardinality {
                inner.count(HttpServerResponseCount, &labels);
            }
            inner.observe(HttpServerRequestBytes, &[app], bytes(call.request_bytes));
            inner.observe(HttpServerResponseBytes, &[app], bytes(call.response_bytes));
        });
    }

    /// A request to the app was sent; `method` and `path` as they go out.
    pub fn http_client_started(&self, method: &str, path: &str, request_bytes: u64) {
        self.with(|inner| {
            let path = inner.paths.client(path);
            let labels = [inner.app_id.as_str(), inner.paths.method(method), &path, ""];
            inner.observe(HttpClientSentBytes, &labels, bytes(request_bytes));
        });
    }

    /// The app answered a request, or failed to.
    pub fn http_client_completed(&self, call: &HttpCall<'_>) {
        self.with(|inner| {
            let mut status = itoa::Buffer::new();
            let path = inner.paths.client(call.path);
            let app = inner.app_id.as_str();
            let labels = [app, inner.paths.method(call.method), &path, status.format(call.status)];
            inner.count_and_observe(HttpClientCompletedCount, HttpClientLatency, &labels, whole_millis(call.elapsed));
            inner.observe(HttpClientReceivedBytes, &[app], bytes(call.response_bytes));
        });
    }

    /// A health probe of an HTTP app came to an end.
    pub fn http_health_probe(&self, status: u16, elapsed: Duration) {
        self.with(|inner| {
            let mut buffer = itoa::Buffer::new();
            let labels = [inner.app_id.as_str(), buffer.format(status)];
            inner.count_and_observe(HttpHealthCount, HttpHealthLatency, &labels, whole_millis(elapsed));
        });
    }
}

#[expect(clippy::cast_precision_loss, reason = "sizes of bodies are below 2^52")]
pub(super) fn bytes(size: u64) -> f64 {
    size as f64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::configuration::MetricSpec;
    use crate::config::decode::decode;

    fn page(spec: serde_json::Value) -> String {
        let metrics = Metrics::new("shop", "", &decode::<MetricSpec>(spec).unwrap());
        metrics.http_server(&HttpCall {
            method: "GET",
            path: "/v1.0/state/mem/a",
            status: 200,
            request_bytes: 0,
            response_bytes: 5,
            elapsed: Duration::from_micros(900),
        });
        metrics.http_client_started("GET", "/dapr/config", 0);
        metrics.render()
    }

    fn has(page: &str, line: &str) -> bool {
        page.lines().any(|found| found == line)
    }

    #[test]
    fn requests_and_responses_are_counted_by_cut_path() {
        let page = page(json!({}));
        for name in ["request_count", "response_count"] {
            let line = format!(
                r#"dapr_http_server_{name}{{app_id="shop",method="GET",path="/v1.0/state/mem",status="200"}} 1"#
            );
            assert!(has(&page, &line), "{page}");
        }
        assert!(has(&page, r#"dapr_http_server_request_bytes_bucket{app_id="shop",le="+Inf"} 1"#));
        assert!(has(
            &page,
            r#"dapr_http_client_sent_bytes_count{app_id="shop",method="GET",path="/dapr/config",status=""} 1"#
        ));
    }

    #[test]
    fn low_cardinality_has_no_path_and_no_response_count() {
        let page = page(json!({"http": {"increasedCardinality": false, "excludeVerbs": true}}));
        assert!(has(&page, r#"dapr_http_server_request_count{app_id="shop",method="",path="",status="200"} 1"#));
        assert!(!page.contains("response_count"));
    }
}
