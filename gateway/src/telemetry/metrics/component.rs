//! Measures of components: messages, bindings, state, secrets and the rest.

use std::time::Duration;

use super::catalog::Measure::{self, *};
use super::{Inner, Metrics, millis, truth};

/// A call of a component that came to an end.
#[derive(Debug, Clone, Copy)]
pub struct ComponentCall<'a> {
    pub component: &'a str,
    /// daprd's word for it: `get`, `set`, `delete`, `bulk_get`, `bulk_delete`, `transaction`, ...
    pub operation: &'a str,
    pub success: bool,
    pub elapsed: Duration,
}

/// A message that was offered to the app.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    pub component: &'a str,
    pub topic: &'a str,
    /// `success`, `retry` or `drop`.
    pub process_status: &'a str,
    /// Empty means the same as `process_status`.
    pub status: &'a str,
    /// Zero records no latency.
    pub elapsed: Duration,
}

/// A publication, of one message or of many.
#[derive(Debug, Clone, Copy)]
pub struct Publication<'a> {
    pub component: &'a str,
    pub topic: &'a str,
    pub success: bool,
    /// Zero records no latency.
    pub elapsed: Duration,
}

impl Metrics {
    pub fn state(&self, call: &ComponentCall<'_>) {
        self.with(|inner| inner.component_call(StateCount, StateLatency, call));
    }

    pub fn secret(&self, call: &ComponentCall<'_>) {
        self.with(|inner| inner.component_call(SecretCount, SecretLatency, call));
    }

    pub fn configuration(&self, call: &ComponentCall<'_>) {
        self.with(|inner| inner.component_call(ConfigurationCount, ConfigurationLatency, call));
    }

    pub fn crypto(&self, call: &ComponentCall<'_>) {
        self.with(|inner| inner.component_call(CryptoCount, CryptoLatency, call));
    }

    pub fn output_binding(&self, call: &ComponentCall<'_>) {
        self.with(|inner| inner.component_call(OutputBindingCount, OutputBindingLatency, call));
    }

    /// Has no label for the operation.
    pub fn conversation(&self, component: &str, success: bool, elapsed: Duration) {
        self.with(|inner| {
            let labels = [&inner.app_id, component, &inner.namespace, truth(success)];
            inner.count_and_time(ConversationCount, ConversationLatency, &labels, elapsed);
        });
    }

    /// An event of an input binding was offered to the app.
    pub fn input_binding(&self, component: &str, success: bool, elapsed: Duration) {
        self.with(|inner| {
            let labels = [&inner.app_id, component, &inner.namespace, truth(success)];
            inner.count_and_time(InputBindingCount, InputBindingLatency, &labels, elapsed);
        });
    }

    /// A message from a broker came to its end.
    pub fn pubsub_ingress(&self, delivery: &Delivery<'_>) {
        self.with(|inner| {
            let status = if delivery.status.is_empty() { delivery.process_status } else { delivery.status };
            let labels = [
                inner.app_id.as_str(),
                delivery.component,
                &inner.namespace,
                delivery.process_status,
                status,
                delivery.topic,
            ];
            inner.count_and_time(PubsubIngressCount, PubsubIngressLatency, &labels, delivery.elapsed);
        });
    }

    /// A bulk delivery came to its end. daprd 1.18 gives the literal text `pubsubName` as component.
    pub fn bulk_ingress(&self, component: &str, topic: &str, elapsed: Duration) {
        self.with(|inner| {
            let labels = [inner.app_id.as_str(), component, &inner.namespace, "", topic];
            inner.count_and_time(BulkIngressCount, BulkIngressLatency, &labels, elapsed);
        });
    }

    /// Messages of a bulk delivery had this outcome (`SUCCESS`, `RETRY`, `DROP`); counts one, however many there were.
    pub fn bulk_ingress_entries(&self, component: &str, topic: &str, process_status: &str, messages: usize) {
        if messages > 0 {
            self.with(|inner| {
                let labels = [inner.app_id.as_str(), component, &inner.namespace, process_status, topic];
                inner.count(BulkIngressEventCount, &labels);
            });
        }
    }

    pub fn pubsub_egress(&self, publication: &Publication<'_>) {
        self.with(|inner| inner.published(PubsubEgressCount, PubsubEgressLatency, publication));
    }

    pub fn bulk_egress(&self, publication: &Publication<'_>) {
        self.with(|inner| inner.published(BulkEgressCount, BulkEgressLatency, publication));
    }

    /// A job was offered to the app.
    pub fn job(&self, operation: &str, success: bool, elapsed: Duration) {
        self.with(|inner| {
            let labels = [inner.app_id.as_str(), &inner.namespace, operation, truth(success)];
            inner.count(if success { JobSuccessCount } else { JobFailureCount }, &labels[..3]);
            if !elapsed.is_zero() {
                inner.observe(JobLatency, &labels, millis(elapsed));
            }
        });
    }
}

impl Inner {
    fn component_call(&self, count: Measure, latency: Measure, call: &ComponentCall<'_>) {
        let labels = [self.app_id.as_str(), call.component, &self.namespace, call.operation, truth(call.success)];
        self.count_and_time(count, latency, &labels, call.elapsed);
    }

    fn published(&self, count: Measure, latency: Measure, publication: &Publication<'_>) {
        let labels = [
            self.app_id.as_str(),
            publication.component,
            &self.namespace,
            truth(publication.success),
            publication.topic,
        ];
        self.count_and_time(count, latency, &labels, publication.elapsed);
    }

    /// Counts a call, and records its time unless that is zero.
    fn count_and_time(&self, count: Measure, latency: Measure, labels: &[&str], elapsed: Duration) {
        if elapsed.is_zero() {
            self.count(count, labels);
        } else {
            self.count_and_observe(count, latency, labels, millis(elapsed));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::configuration::MetricSpec;

    fn has(metrics: &Metrics, line: &str) -> bool {
        let page = metrics.render();
        let found = page.lines().any(|found| found == line);
        assert!(found, "{line} is not in\n{page}");
        found
    }

    #[test]
    fn calls_of_components_are_counted_and_timed() {
        let metrics = Metrics::new("shop", "eu", &MetricSpec::default());
        metrics.state(&ComponentCall {
            component: "mem",
            operation: "get",
            success: true,
            elapsed: Duration::from_micros(1_500),
        });
        assert!(has(
            &metrics,
            r#"dapr_component_state_count{app_id="shop",component="mem",namespace="eu",operation="get",success="true"} 1"#
        ));
        assert!(has(
            &metrics,
            r#"dapr_component_state_latencies_sum{app_id="shop",component="mem",namespace="eu",operation="get",success="true"} 1.5"#
        ));
    }

    #[test]
    fn deliveries_have_two_statuses() {
        let metrics = Metrics::new("shop", "", &MetricSpec::default());
        let delivery = Delivery {
            component: "bus",
            topic: "t",
            process_status: "drop",
            status: "success",
            elapsed: Duration::ZERO,
        };
        metrics.pubsub_ingress(&delivery);
        metrics.pubsub_ingress(&Delivery { status: "", ..delivery });
        assert!(has(
            &metrics,
            r#"dapr_component_pubsub_ingress_count{app_id="shop",component="bus",namespace="",process_status="drop",status="success",topic="t"} 1"#
        ));
        assert!(has(
            &metrics,
            r#"dapr_component_pubsub_ingress_count{app_id="shop",component="bus",namespace="",process_status="drop",status="drop",topic="t"} 1"#
        ));
        assert!(!metrics.render().contains("ingress_latencies"));
    }

    #[test]
    fn jobs_count_by_outcome() {
        let metrics = Metrics::new("shop", "", &MetricSpec::default());
        metrics.job("job_trigger_op", false, Duration::from_millis(2));
        assert!(has(
            &metrics,
            r#"dapr_component_job_failure_count{app_id="shop",namespace="",operation="job_trigger_op"} 1"#
        ));
    }
}
