//! A build without collectors of spans: a configuration that names one is an error that says so.

use tokio::runtime::Handle;

use super::{ExporterError, Resource, Sink};
use crate::config::configuration::TracingSpec;

/// None.
///
/// # Errors
/// `spec` names a collector.
pub fn collectors(spec: &TracingSpec, _: &Resource, _: &Handle) -> Result<Vec<Box<dyn Sink>>, ExporterError> {
    let absent = |setting, endpoint: &str| Err(ExporterError::Absent { setting, endpoint: endpoint.to_owned() });
    if !spec.zipkin.endpoint_address.is_empty() {
        return absent("spec.tracing.zipkin", &spec.zipkin.endpoint_address);
    }
    if !spec.otel.endpoint_address.is_empty() && !spec.otel.protocol.is_empty() {
        return absent("spec.tracing.otel", &spec.otel.endpoint_address);
    }
    Ok(Vec::new())
}
