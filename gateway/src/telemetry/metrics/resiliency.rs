//! Measures of retries, timeouts and circuit breakers.

use super::Metrics;
use super::catalog::Measure::*;

/// What kind of policy applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PolicyKind {
    Timeout,
    Retry,
    CircuitBreaker,
}

/// Where a call goes, seen from the sidecar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    Inbound,
    Outbound,
}

/// The state of a circuit breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    Closed,
    HalfOpen,
    Open,
}

impl CircuitState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}

/// The labels that all resiliency measures of one target have.
#[derive(Debug, Clone, Copy)]
pub struct PolicyLabels<'a> {
    /// Name and namespace of the resource that was loaded last.
    pub name: &'a str,
    pub namespace: &'a str,
    pub policy: PolicyKind,
    pub flow: Flow,
    /// `app_<id>`, `actor_<type>` or `<ComponentType>_<name>`.
    pub target: &'a str,
}

impl PolicyLabels<'_> {
    fn policy(&self) -> &'static str {
        match self.policy {
            PolicyKind::Timeout => "timeout",
            PolicyKind::Retry => "retry",
            PolicyKind::CircuitBreaker => "circuitbreaker",
        }
    }

    fn flow(&self) -> &'static str {
        match self.flow {
            Flow::Inbound => "inbound",
            Flow::Outbound => "outbound",
        }
    }
}

impl Metrics {
    /// A resiliency resource is in force.
    pub fn resiliency_loaded(&self, name: &str, namespace: &str) {
        self.with(|inner| inner.count(ResiliencyLoaded, &[&inner.app_id, name, namespace]));
    }

    /// A policy applies to a call that begins; `state` for circuit breakers, whose gauge is set by it.
    pub fn policy_executed(&self, labels: &PolicyLabels<'_>, state: Option<CircuitState>) {
        self.with(|inner| {
            let with = |status| {
                [
                    inner.app_id.as_str(),
                    labels.flow(),
                    labels.name,
                    labels.namespace,
                    labels.policy(),
                    status,
                    labels.target,
                ]
            };
            inner.count(ResiliencyCount, &with(state.map_or("", CircuitState::as_str)));
            if let Some(state) = state {
                for status in ["closed", "half-open", "open", "unknown"] {
                    inner.set(ResiliencyState, &with(status), i64::from(status == state.as_str()));
                }
            }
        });
    }

    /// A policy acted: a timeout ran out, a retry began, a circuit breaker changed to `state`.
    pub fn policy_activated(&self, labels: &PolicyLabels<'_>, state: Option<CircuitState>) {
        self.with(|inner| {
            let status = state.map_or("", CircuitState::as_str);
            let labels = [
                inner.app_id.as_str(),
                labels.flow(),
                labels.name,
                labels.namespace,
                labels.policy(),
                status,
                labels.target,
            ];
            inner.count(ResiliencyActivations, &labels);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::configuration::MetricSpec;

    #[test]
    fn a_breaker_has_one_state_at_a_time() {
        let metrics = Metrics::new("client", "", &MetricSpec::default());
        let labels = PolicyLabels {
            name: "mine",
            namespace: "",
            policy: PolicyKind::CircuitBreaker,
            flow: Flow::Outbound,
            target: "app_server",
        };
        metrics.policy_executed(&labels, Some(CircuitState::Closed));
        metrics.policy_activated(&labels, Some(CircuitState::Open));
        metrics.policy_executed(&labels, Some(CircuitState::Open));
        let page = metrics.render();
        for (name, status, value) in [
            ("count", "closed", 1),
            ("count", "open", 1),
            ("activations_total", "open", 1),
            ("cb_state", "open", 1),
            ("cb_state", "closed", 0),
            ("cb_state", "unknown", 0),
        ] {
            let line = format!(
                r#"dapr_resiliency_{name}{{app_id="client",flow_direction="outbound",name="mine",namespace="",policy="circuitbreaker",status="{status}",target="app_server"}} {value}"#
            );
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }
}
