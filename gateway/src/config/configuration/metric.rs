//! `spec.metric`: what is measured, with which labels and buckets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Upper bounds of latency buckets in milliseconds, as daprd 1.18 has them.
pub const DEFAULT_LATENCY_BUCKETS: [f64; 34] = [
    1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 13.0, 16.0, 20.0, 25.0, 30.0, 40.0, 50.0, 65.0, 80.0, 100.0, 130.0, 160.0,
    200.0, 250.0, 300.0, 400.0, 500.0, 650.0, 800.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0, 50_000.0,
    100_000.0,
];

/// Settings of metrics; unset fields have a default of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_error_codes: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<MetricHttp>,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_distribution_buckets: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<MetricRule>,
}

/// Labels of the HTTP server's metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MetricHttp {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub increased_cardinality: Option<bool>,
    /// Patterns in the syntax of Go's `ServeMux`, such as `/orders/{id}`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub path_matching: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_verbs: Option<bool>,
}

/// Rewrites label values of one metric.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct MetricRule {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<MetricLabel>,
}

/// The rewriting of one label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct MetricLabel {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Replacement to pattern.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub regex: BTreeMap<String, String>,
}

impl MetricSpec {
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    pub fn records_error_codes(&self) -> bool {
        self.record_error_codes.unwrap_or(false)
    }

    /// Whether paths become labels. Unset means yes; daprd warns then that this will change.
    pub fn increased_cardinality(&self) -> bool {
        self.http.as_ref().and_then(|http| http.increased_cardinality).unwrap_or(true)
    }

    pub fn excludes_verbs(&self) -> bool {
        self.http.as_ref().and_then(|http| http.exclude_verbs).unwrap_or(false)
    }

    pub fn path_matching(&self) -> &[String] {
        self.http.as_ref().map_or(&[], |http| &http.path_matching)
    }

    /// Upper bounds of latency buckets in milliseconds.
    #[expect(clippy::cast_precision_loss, reason = "bucket bounds are far below 2^52")]
    pub fn latency_buckets(&self) -> Vec<f64> {
        match &self.latency_distribution_buckets {
            Some(bounds) if !bounds.is_empty() => bounds.iter().map(|bound| *bound as f64).collect(),
            _ => DEFAULT_LATENCY_BUCKETS.to_vec(),
        }
    }

    /// The settings as compact JSON, which daprd logs at start as `metric spec: {...}`.
    pub fn to_json(&self) -> String {
        // Plain strings, numbers and maps with text keys cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Takes each field that `over` sets.
    pub(super) fn overlay(&mut self, over: Self) {
        self.enabled = over.enabled.or(self.enabled);
        self.record_error_codes = over.record_error_codes.or(self.record_error_codes);
        self.http = over.http.or(self.http.take());
        self.latency_distribution_buckets =
            over.latency_distribution_buckets.or(self.latency_distribution_buckets.take());
        if !over.rules.is_empty() {
            self.rules = over.rules;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    #[test]
    fn prints_as_daprd_logs_it() {
        let spec: MetricSpec = decode(json!({"enabled": true, "http": {"increasedCardinality": false}})).unwrap();
        assert_eq!(spec.to_json(), r#"{"enabled":true,"http":{"increasedCardinality":false}}"#);
    }

    #[test]
    fn buckets_are_daprds_unless_given() {
        assert_eq!(MetricSpec::default().latency_buckets(), DEFAULT_LATENCY_BUCKETS);
        let spec: MetricSpec = decode(json!({"latencyDistributionBuckets": [5, 50]})).unwrap();
        assert_eq!(spec.latency_buckets(), [5.0, 50.0]);
    }
}
