//! Zipkin's v2 JSON over HTTP.

use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{ExporterError, Resource, Sink};
use crate::telemetry::trace::span::{Finished, SpanKind, Status};

/// A collector.
pub struct Zipkin {
    url: reqwest::Url,
    client: reqwest::Client,
    service_name: String,
}

#[async_trait]
impl Sink for Zipkin {
    fn setting(&self) -> &'static str {
        "zipkin"
    }

    async fn send(&self, spans: &[Finished]) -> Result<(), String> {
        let body: Value = spans.iter().map(|span| self.span(span)).collect();
        let request = self.client.post(self.url.clone()).header(http::header::CONTENT_TYPE, "application/json");
        let response = request.body(body.to_string()).send().await.map_err(|error| full_text(&error))?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(format!("the collector answered {}", response.status()))
        }
    }
}

impl Zipkin {
    /// `url` is the whole address, such as `http://localhost:9411/api/v2/spans`.
    pub fn new(url: &str, resource: &Resource) -> Result<Self, ExporterError> {
        let bad = |reason: String| ExporterError::ZipkinUrl { url: url.to_owned(), reason };
        let parsed = reqwest::Url::parse(url).map_err(|error| bad(error.to_string()))?;
        if !parsed.has_host() {
            return Err(bad("no scheme or host".to_owned()));
        }
        Ok(Self {
            url: parsed,
            client: reqwest::Client::builder().build()?,
            service_name: resource.service_name.clone(),
        })
    }

    fn span(&self, span: &Finished) -> Value {
        let mut tags = Map::new();
        for (key, value) in &span.attributes {
            tags.insert(key.to_string(), Value::from(value.as_str()));
        }
        if let Status::Error(description) = &span.status {
            tags.insert("otel.status_code".to_owned(), "ERROR".into());
            tags.insert("error".to_owned(), Value::from(description.as_str()));
        }
        let mut json = json!({
            "traceId": span.context.trace_id.to_string(),
            "id": span.context.span_id.to_string(),
            "name": span.name,
            "timestamp": micros(span.start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
            // Zipkin takes no duration of nothing.
            "duration": micros(span.end.duration_since(span.start).unwrap_or_default()).max(1),
            "localEndpoint": {"serviceName": self.service_name},
            "tags": tags,
        });
        if let Some(parent) = span.parent {
            json["parentId"] = parent.to_string().into();
        }
        let kind = match span.kind {
            SpanKind::Internal => None,
            SpanKind::Client => Some("CLIENT"),
            SpanKind::Server => Some("SERVER"),
            SpanKind::Producer => Some("PRODUCER"),
            SpanKind::Consumer => Some("CONSUMER"),
        };
        if let Some(kind) = kind {
            json["kind"] = kind.into();
        }
        json
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// An error with its causes: the outermost of reqwest's says only that something failed.
fn full_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;
    use crate::telemetry::trace::SpanContext;
    use crate::telemetry::trace::ids::SpanId;

    #[test]
    fn spans_are_zipkins_json() {
        // What every main does first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let resource = Resource::new("shop", &Environment::default());
        let zipkin = Zipkin::new("http://localhost:9411/api/v2/spans", &resource).unwrap();
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(5);
        let json = zipkin.span(&Finished {
            context: SpanContext::from_traceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap(),
            parent: SpanId::parse("00000000000000ab"),
            kind: SpanKind::Client,
            name: "/v1.0/state/mem".into(),
            start,
            end: start + Duration::from_millis(2),
            attributes: vec![("db.name".into(), "mem".into())],
            status: Status::from_http(500),
        });
        assert_eq!(
            json,
            json!({
                "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
                "id": "00f067aa0ba902b7",
                "parentId": "00000000000000ab",
                "kind": "CLIENT",
                "name": "/v1.0/state/mem",
                "timestamp": 5_000_000,
                "duration": 2_000,
                "localEndpoint": {"serviceName": "shop"},
                "tags": {"db.name": "mem", "otel.status_code": "ERROR", "error": "Code(500): Internal Server Error"},
            })
        );
    }

    #[test]
    fn addresses_must_be_urls() {
        let resource = Resource::new("shop", &Environment::default());
        assert!(matches!(Zipkin::new("localhost", &resource), Err(ExporterError::ZipkinUrl { .. })));
    }
}
