//! OTLP over gRPC or HTTP.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, Request, Response};
use opentelemetry::trace::{SpanContext as OtelContext, SpanId, Status as OtelStatus, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig, WithTonicConfig};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tonic::metadata::{MetadataKey, MetadataMap, MetadataValue};
use tonic::transport::ClientTlsConfig;

use super::{ExporterError, Resource, Sink};
use crate::config::configuration::OtelSpec;
use crate::config::configuration::tracing::OtelHeader;
use crate::telemetry::trace::span::{Finished, SpanKind, Status};

/// How long one export may take when the configuration does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// A collector.
pub struct Otlp {
    exporter: SpanExporter,
    scope: InstrumentationScope,
}

#[async_trait]
impl Sink for Otlp {
    fn setting(&self) -> &'static str {
        "otel"
    }

    async fn send(&self, spans: &[Finished]) -> Result<(), String> {
        let batch = spans.iter().map(|span| self.span(span)).collect();
        self.exporter.export(batch).await.map_err(|error| error.to_string())
    }
}

impl Otlp {
    pub fn new(spec: &OtelSpec, resource: &Resource) -> Result<Self, ExporterError> {
        let failed = |reason: String| ExporterError::Otlp { endpoint: spec.endpoint_address.clone(), reason };
        let scheme = if spec.is_secure() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", spec.endpoint_address);
        let timeout = spec.timeout.and_then(|timeout| timeout.to_std()).unwrap_or(DEFAULT_TIMEOUT);
        let mut exporter = match spec.protocol.as_str() {
            "grpc" => {
                let mut builder = SpanExporter::builder()
                    .with_tonic()
                    .with_endpoint(endpoint)
                    .with_timeout(timeout)
                    .with_metadata(metadata(&spec.headers).map_err(failed)?);
                // The exporter adds the environment's headers; those of the configuration stand alone (as daprd 1.18).
                if !spec.headers.is_empty() {
                    let only = metadata(&spec.headers).map_err(failed)?;
                    builder = builder.with_interceptor(move |mut request: tonic::Request<()>| {
                        *request.metadata_mut() = only.clone();
                        Ok(request)
                    });
                }
                if spec.is_secure() {
                    builder = builder.with_tls_config(ClientTlsConfig::new().with_native_roots());
                }
                builder.build()
            }
            "http" => SpanExporter::builder()
                .with_http()
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(format!("{endpoint}/v1/traces"))
                .with_timeout(timeout)
                .with_http_client(Collector {
                    client: reqwest::Client::builder().timeout(timeout).build()?,
                    only: spec.headers.iter().map(|header| header.name.to_ascii_lowercase()).collect(),
                })
                .with_headers(headers(&spec.headers))
                .build(),
            other => return Err(ExporterError::Protocol(other.to_owned())),
        }
        .map_err(|error| failed(error.to_string()))?;
        exporter.set_resource(&otel_resource(resource));
        Ok(Self { exporter, scope: InstrumentationScope::builder("dapr-diagnostics").build() })
    }

    fn span(&self, span: &Finished) -> SpanData {
        let state = span.context.state.as_str().unwrap_or_default().parse::<TraceState>().unwrap_or_default();
        SpanData {
            span_context: OtelContext::new(
                TraceId::from_bytes(span.context.trace_id.0),
                SpanId::from_bytes(span.context.span_id.0),
                TraceFlags::new(span.context.flags),
                false,
                state,
            ),
            parent_span_id: SpanId::from_bytes(span.parent.unwrap_or_default().0),
            parent_span_is_remote: span.parent.is_some(),
            span_kind: match span.kind {
                SpanKind::Internal => opentelemetry::trace::SpanKind::Internal,
                SpanKind::Client => opentelemetry::trace::SpanKind::Client,
                SpanKind::Server => opentelemetry::trace::SpanKind::Server,
                SpanKind::Producer => opentelemetry::trace::SpanKind::Producer,
                SpanKind::Consumer => opentelemetry::trace::SpanKind::Consumer,
            },
            name: span.name.clone(),
            start_time: span.start,
            end_time: span.end,
            attributes: span.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())).collect(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match &span.status {
                Status::Unset => OtelStatus::Unset,
                Status::Error(description) => OtelStatus::error(description.clone()),
            },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// A client that sends the configuration's headers and the exporter's own, and not the environment's when the
/// configuration has any.
#[derive(Debug)]
struct Collector {
    client: reqwest::Client,
    /// Names in lower case; empty lets everything through.
    only: Vec<String>,
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        keep_only(request.headers_mut(), &self.only);
        self.client.send_bytes(request).await
    }
}

/// Removes what is neither in `only` nor the exporter's own; an empty `only` keeps everything.
fn keep_only(headers: &mut HeaderMap, only: &[String]) {
    if only.is_empty() {
        return;
    }
    let own = [CONTENT_TYPE, CONTENT_ENCODING, USER_AGENT];
    let all = std::mem::take(headers);
    let kept = all.iter().filter(|(name, _)| own.contains(name) || only.iter().any(|one| one == name.as_str()));
    headers.extend(kept.map(|(name, value)| (name.clone(), value.clone())));
}

fn otel_resource(resource: &Resource) -> opentelemetry_sdk::Resource {
    opentelemetry_sdk::Resource::builder_empty()
        .with_service_name(resource.service_name.clone())
        .with_attributes(resource.attributes.iter().map(|(name, value)| KeyValue::new(name.clone(), value.clone())))
        .build()
}

fn headers(headers: &[OtelHeader]) -> HashMap<String, String> {
    headers.iter().map(|header| (header.name.clone(), header.value.clone())).collect()
}

fn metadata(headers: &[OtelHeader]) -> Result<MetadataMap, String> {
    let mut map = MetadataMap::new();
    for OtelHeader { name, value } in headers {
        let bad = |what: &str| format!("the {what} of header {name:?} cannot be sent");
        let key: MetadataKey<_> = name.to_ascii_lowercase().parse().map_err(|_| bad("name"))?;
        map.insert(key, MetadataValue::try_from(value).map_err(|_| bad("value"))?);
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_configuration_stand_alone() {
        let all = || -> HeaderMap {
            let value = || http::HeaderValue::from_static("v");
            [("content-type", value()), ("x-config", value()), ("x-env", value())]
                .into_iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value))
                .collect()
        };
        let mut headers = all();
        keep_only(&mut headers, &["x-config".to_owned()]);
        assert_eq!(headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["content-type", "x-config"]);
        let mut headers = all();
        keep_only(&mut headers, &[]);
        assert_eq!(headers, all());
    }
}
