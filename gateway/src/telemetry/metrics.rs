//! Metrics with the names, labels and buckets of daprd 1.18, and their Prometheus page.
//!
//! [`Metrics`] is a value: cheap to clone, one for each gateway. Each measure has a typed method; a series that exists
//! is found without allocating. The list of measures is [`catalog`].

mod catalog;
mod component;
mod family;
mod function;
mod grpc;
mod http;
mod label_sets;
mod path;
mod process;
mod resiliency;
mod rules;
mod service;
mod text;

use std::sync::Arc;
use std::time::Duration;

pub use component::{ComponentCall, Delivery, Publication};
pub use function::FunctionCall;
pub use grpc::GrpcCall;
pub use http::HttpCall;
pub use resiliency::{CircuitState, Flow, PolicyKind, PolicyLabels};
pub use rules::RuleError;
pub use service::AclDecision;
pub use text::CONTENT_TYPE;
pub(super) use text::number;

use self::catalog::Measure;
use self::family::{Family, Labels};
use self::path::PathLabels;
use self::rules::Rules;
use crate::config::configuration::MetricSpec;

/// Log scope of daprd's diagnostics.
const SCOPE: &str = "dapr.runtime.diagnostics";

/// Where measurements go. A disabled value records nothing and costs a branch.
#[derive(Clone, Default)]
pub struct Metrics {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    app_id: String,
    /// `NAMESPACE` as it is, empty when unset.
    namespace: String,
    families: Vec<Family>,
    paths: PathLabels,
    records_error_codes: bool,
}

impl Metrics {
    /// Records nothing; [`Metrics::render`] is empty.
    pub fn disabled() -> Self {
        Self::default()
    }

    /// Metrics for one app, as `spec.metric` says. When that switches them off, this is [`Metrics::disabled`].
    ///
    /// Logs the settings as daprd does at start. Rules that are no regular expressions are logged and left out.
    pub fn new(app_id: &str, namespace: &str, spec: &MetricSpec) -> Self {
        if !spec.is_enabled() {
            return Self::disabled();
        }
        log_settings(spec);
        let rules = Rules::compile(&spec.rules).unwrap_or_else(|error| {
            tracing::error!(
                target: "dapr.runtime",
                "[INIT_FAILURE]: initialization error occurred for metrics: {error}"
            );
            Rules::default()
        });
        let latency: Arc<[f64]> = spec.latency_buckets().into();
        let sets = Arc::default();
        let families = Measure::ALL.iter().map(|measure| Family::new(*measure, &latency, &rules, &sets)).collect();
        Self {
            inner: Some(Arc::new(Inner {
                app_id: app_id.to_owned(),
                namespace: namespace.to_owned(),
                families,
                paths: PathLabels::new(spec),
                records_error_codes: spec.records_error_codes(),
            })),
        }
    }

    pub fn is_enabled(&self) -> bool {
        self.inner.is_some()
    }

    /// The page in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut page = String::new();
        if let Some(inner) = &self.inner {
            text::write_families(&mut page, &inner.families);
            process::write(&mut page);
        }
        page
    }

    /// Counts an error by its code, when `recordErrorCodes` is on.
    pub fn error_code(&self, code: &str, category: &str) {
        if let Some(inner) = self.inner.as_deref().filter(|inner| inner.records_error_codes) {
            if code.is_empty() || category.is_empty() {
                tracing::warn!(target: SCOPE, "ErrorCode is malformed: Code = {code}, Category = {category}");
                return;
            }
            inner.count(Measure::ErrorCode, &[&inner.app_id, category, code]);
        }
    }

    fn with(&self, record: impl FnOnce(&Inner)) {
        if let Some(inner) = &self.inner {
            record(inner);
        }
    }
}

impl Inner {
    fn family(&self, measure: Measure) -> &Family {
        &self.families[measure as usize]
    }

    /// Adds one to a counter; `labels` in the order of the catalogue.
    fn count(&self, measure: Measure, labels: &[&str]) {
        self.family(measure).with(&Labels::new(labels), |series| series.add(1));
    }

    fn observe(&self, measure: Measure, labels: &[&str], value: f64) {
        self.family(measure).with(&Labels::new(labels), |series| series.observe(value));
    }

    /// A counter and a histogram with the same labels.
    fn count_and_observe(&self, count: Measure, histogram: Measure, labels: &[&str], value: f64) {
        let labels = Labels::new(labels);
        self.family(count).with(&labels, |series| series.add(1));
        self.family(histogram).with(&labels, |series| series.observe(value));
    }

    fn set(&self, measure: Measure, labels: &[&str], value: i64) {
        self.family(measure).with(&Labels::new(labels), |series| series.set(value));
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("enabled", &self.is_enabled()).finish()
    }
}

/// Milliseconds with their fraction, as component latencies are recorded.
fn millis(elapsed: Duration) -> f64 {
    elapsed.as_secs_f64() * 1e3
}

/// Whole milliseconds, as the latencies of the fronts are recorded.
#[expect(clippy::cast_precision_loss, reason = "an elapsed time in milliseconds is far below 2^52")]
fn whole_millis(elapsed: Duration) -> f64 {
    elapsed.as_millis() as f64
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn log_settings(spec: &MetricSpec) {
    tracing::info!(target: SCOPE, "metric spec: {}", spec.to_json());
    let buckets: Vec<String> = spec.latency_buckets().iter().map(ToString::to_string).collect();
    let custom = spec.latency_distribution_buckets.as_ref().is_some_and(|buckets| !buckets.is_empty());
    let which = if custom { "custom" } else { "default" };
    tracing::info!(target: SCOPE, "Using {which} latency distribution buckets: [{}]", buckets.join(" "));
    if spec.http.as_ref().is_none_or(|http| http.increased_cardinality.is_none()) {
        tracing::warn!(
            target: SCOPE,
            "The default value for 'spec.metric.http.increasedCardinality' will change to 'false' in Dapr 1.15 or later"
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    #[test]
    fn a_disabled_value_has_an_empty_page() {
        let metrics = Metrics::new("shop", "", &decode(json!({"enabled": false})).unwrap());
        metrics.component_loaded();
        assert_eq!(metrics.render(), "");
    }

    #[test]
    fn error_codes_are_counted_when_asked_for() {
        let metrics = Metrics::new("shop", "", &decode(json!({"recordErrorCodes": true})).unwrap());
        metrics.error_code("ERR_STATE_GET", "state");
        metrics.error_code("", "state");
        let page = metrics.render();
        let line = r#"dapr_error_code_total{app_id="shop",category="state",error_code="ERR_STATE_GET"} 1"#;
        assert!(page.lines().any(|found| found == line), "{page}");
        let silent = Metrics::new("shop", "", &MetricSpec::default());
        silent.error_code("ERR_STATE_GET", "state");
        assert!(!silent.render().contains("ERR_STATE_GET"));
    }
}
