//! Collectors of spans over the network.

use tokio::runtime::Handle;

use super::{ExporterError, Resource, Sink, otlp, zipkin};
use crate::config::configuration::TracingSpec;

/// The collectors that `spec` names, in daprd's order.
pub fn collectors(
    spec: &TracingSpec,
    resource: &Resource,
    runtime: &Handle,
) -> Result<Vec<Box<dyn Sink>>, ExporterError> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if !spec.zipkin.endpoint_address.is_empty() {
        sinks.push(Box::new(zipkin::Zipkin::new(&spec.zipkin.endpoint_address, resource)?));
    }
    if !spec.otel.endpoint_address.is_empty() && !spec.otel.protocol.is_empty() {
        // Connections belong to the runtime that is entered when they are made.
        let _entered = runtime.enter();
        sinks.push(Box::new(otlp::Otlp::new(&spec.otel, resource)?));
    }
    Ok(sinks)
}

impl From<reqwest::Error> for ExporterError {
    fn from(error: reqwest::Error) -> Self {
        Self::Client(error.to_string())
    }
}
