//! `Resiliency`, `dapr.io/v1alpha1`, as written; [`crate::resiliency`] makes policies from it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::meta::{Metadata, Resource};

/// Policies by name and the targets that they apply to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Resiliency {
    pub metadata: Metadata,
    pub spec: ResiliencySpec,
    pub scopes: Vec<String>,
}

/// `spec` of the resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ResiliencySpec {
    pub policies: PolicySpecs,
    pub targets: TargetSpecs,
}

/// Named building bricks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicySpecs {
    /// A Go duration, or whole milliseconds.
    pub timeouts: BTreeMap<String, String>,
    pub retries: BTreeMap<String, RetrySpec>,
    pub circuit_breakers: BTreeMap<String, CircuitBreakerSpec>,
}

/// A retry as written; durations are Go texts or whole milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RetrySpec {
    /// `constant` (default) or `exponential`.
    pub policy: String,
    pub duration: String,
    pub max_interval: String,
    /// -1 (default) for no limit.
    pub max_retries: Option<i64>,
    pub matching: Option<MatchingSpec>,
}

/// Which answers are worth another attempt: codes and ranges, comma separated; empty for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MatchingSpec {
    pub http_status_codes: String,
    #[serde(rename = "gRPCStatusCodes")]
    pub grpc_status_codes: String,
}

/// A circuit breaker as written; durations are Go texts or whole milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct CircuitBreakerSpec {
    /// Calls let through while half open; 0 means 1.
    pub max_requests: i64,
    pub interval: String,
    pub timeout: String,
    /// A CEL expression over the counts; empty for `consecutiveFailures > 5`.
    pub trip: String,
}

/// What the policies apply to, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct TargetSpecs {
    pub apps: BTreeMap<String, AppTarget>,
    pub actors: BTreeMap<String, ActorTarget>,
    pub components: BTreeMap<String, ComponentTarget>,
}

/// Names of policies; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PolicyNames {
    pub timeout: String,
    pub retry: String,
    pub circuit_breaker: String,
}

/// Policies for calls to an app. The breaker is one for each endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AppTarget {
    pub timeout: String,
    pub retry: String,
    pub circuit_breaker: String,
    /// How many endpoints have a breaker at one time; 0 means 100.
    pub circuit_breaker_cache_size: i64,
}

/// Policies for calls to actors of a type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ActorTarget {
    pub timeout: String,
    pub retry: String,
    pub circuit_breaker: String,
    /// `type`, `id` or `both`; must be there with a breaker.
    pub circuit_breaker_scope: String,
    /// How many breakers there are at one time; 0 means 5000.
    pub circuit_breaker_cache_size: i64,
}

/// Policies for a component, by direction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ComponentTarget {
    pub inbound: PolicyNames,
    pub outbound: PolicyNames,
}

impl Resource for Resiliency {
    const API_VERSION: &'static str = "dapr.io/v1alpha1";
    const KIND: &'static str = "Resiliency";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn log_name(&self) -> String {
        self.metadata.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{decode::decode, yaml};

    #[test]
    fn reads_policies_and_targets() {
        let text = "
metadata: {name: mine}
spec:
  policies:
    timeouts: {fast: 500ms, plain: 300}
    retries:
      r: {policy: exponential, maxInterval: 2s, maxRetries: 3, matching: {httpStatusCodes: '500-599', gRPCStatusCodes: 14}}
    circuitBreakers:
      cb: {maxRequests: 1, timeout: 5s, trip: consecutiveFailures >= 3}
  targets:
    apps: {b: {timeout: fast, retry: r, circuitBreaker: cb, circuitBreakerCacheSize: 7}}
    components: {store: {outbound: {retry: r}}}
";
        let resiliency: Resiliency = decode(yaml::parse(text).unwrap()).unwrap();
        let policies = &resiliency.spec.policies;
        assert_eq!(policies.timeouts["plain"], "300");
        assert_eq!(policies.retries["r"].matching.as_ref().unwrap().grpc_status_codes, "14");
        assert_eq!(policies.circuit_breakers["cb"].trip, "consecutiveFailures >= 3");
        assert_eq!(resiliency.spec.targets.apps["b"].circuit_breaker_cache_size, 7);
        assert_eq!(resiliency.spec.targets.components["store"].outbound.retry, "r");
    }
}
