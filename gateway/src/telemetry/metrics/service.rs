//! Measures of the runtime itself: components built, identities, access rules, invocation between apps.

use std::time::Duration;

use super::catalog::Measure::*;
use super::{Metrics, millis};

/// The outcome of the access rules for one call.
#[derive(Debug, Clone, Copy)]
pub struct AclDecision<'a> {
    /// Facts of the caller's identity.
    pub app_id: &'a str,
    pub namespace: &'a str,
    pub trust_domain: &'a str,
    pub allowed: bool,
    /// Whether the caller's own policy decided, or the default action.
    pub by_app_policy: bool,
}

impl Metrics {
    /// A component is in place.
    pub fn component_loaded(&self) {
        self.with(|inner| inner.count(ComponentLoaded, &[&inner.app_id]));
    }

    /// A component of type `kind` (`state.redis`) was built.
    pub fn component_initialized(&self, kind: &str) {
        self.with(|inner| inner.count(ComponentInitTotal, &[&inner.app_id, kind]));
    }

    /// A component could not be built; `reason` is `creation` or `init`.
    pub fn component_init_failed(&self, kind: &str, reason: &str, name: &str) {
        self.with(|inner| inner.count(ComponentInitFailTotal, &[&inner.app_id, kind, name, reason]));
    }

    pub fn mtls_initialized(&self) {
        self.with(|inner| inner.count(MtlsInitTotal, &[&inner.app_id]));
    }

    pub fn mtls_init_failed(&self, reason: &str) {
        self.with(|inner| inner.count(MtlsInitFailTotal, &[&inner.app_id, reason]));
    }

    pub fn mtls_rotated(&self) {
        self.with(|inner| inner.count(MtlsRotatedTotal, &[&inner.app_id]));
    }

    pub fn mtls_rotation_failed(&self, reason: &str) {
        self.with(|inner| inner.count(MtlsRotatedFailTotal, &[&inner.app_id, reason]));
    }

    /// The access rules judged a call.
    pub fn acl(&self, decision: &AclDecision<'_>) {
        self.with(|inner| {
            let measure = match (decision.by_app_policy, decision.allowed) {
                (true, true) => AclAppAllowed,
                (true, false) => AclAppBlocked,
                (false, true) => AclGlobalAllowed,
                (false, false) => AclGlobalBlocked,
            };
            inner.count(measure, &[decision.app_id, decision.namespace, decision.trust_domain]);
        });
    }

    /// An invocation goes to the sidecar of `app`.
    pub fn invoke_request_sent(&self, app: &str, streaming: bool) {
        self.with(|inner| inner.count(InvokeRequestSent, &[&inner.app_id, app, kind(streaming)]));
    }

    /// An invocation came from the sidecar of `app`.
    pub fn invoke_request_received(&self, app: &str) {
        self.with(|inner| inner.count(InvokeRequestReceived, &[&inner.app_id, app]));
    }

    /// The answer to an invocation goes back to `app`, with an HTTP or gRPC status.
    pub fn invoke_response_sent(&self, app: &str, status: i32) {
        self.with(|inner| {
            inner.count(InvokeResponseSent, &[&inner.app_id, app, itoa::Buffer::new().format(status)]);
        });
    }

    /// The answer of `app` to an invocation came back; streams (proxied gRPC) have no latency.
    pub fn invoke_response_received(&self, app: &str, status: i32, streaming: bool, elapsed: Duration) {
        self.with(|inner| {
            let mut buffer = itoa::Buffer::new();
            let labels = [inner.app_id.as_str(), app, buffer.format(status), kind(streaming)];
            inner.count(InvokeResponseReceived, &labels);
            if !streaming {
                inner.observe(InvokeResponseLatency, &labels[..3], millis(elapsed));
            }
        });
    }
}

fn kind(streaming: bool) -> &'static str {
    if streaming { "streaming" } else { "unary" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::configuration::MetricSpec;

    #[test]
    fn the_runtime_counts_what_it_does() {
        let metrics = Metrics::new("shop", "", &MetricSpec::default());
        metrics.component_init_failed("state.sqlite", "init", "lite");
        metrics.invoke_response_received("bank", 200, false, Duration::from_millis(3));
        metrics.acl(&AclDecision {
            app_id: "bank",
            namespace: "ns",
            trust_domain: "public",
            allowed: false,
            by_app_policy: false,
        });
        let page = metrics.render();
        for line in [
            r#"dapr_runtime_component_init_fail_total{app_id="shop",component="state.sqlite",componentName="lite",reason="init"} 1"#,
            r#"dapr_runtime_service_invocation_res_recv_total{app_id="shop",src_app_id="bank",status="200",type="unary"} 1"#,
            r#"dapr_runtime_service_invocation_res_recv_latency_ms_sum{app_id="shop",src_app_id="bank",status="200"} 3"#,
            r#"dapr_runtime_acl_global_policy_action_blocked_total{app_id="bank",namespace="ns",trustDomain="public"} 1"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
