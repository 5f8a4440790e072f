//! Policies by name, from what resources say, and what a target gets of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing::warn;

use super::SCOPE;
use super::breaker::{Breaker, BreakerConfig};
use super::lru::Lru;
use super::matching::{Matching, MatchingError};
use super::retry::{Backoff, Retry};
use super::targets::{BuiltIn, default_names};
use super::trip::Trip;
use crate::config::duration::DurationError;
use crate::config::resiliency::{ActorTarget, CircuitBreakerSpec, RetrySpec};
use crate::config::{GoDuration, Resiliency};

/// Named policies, while resources are read.
#[derive(Default)]
pub struct Definitions {
    timeouts: HashMap<String, Duration>,
    pub retries: HashMap<String, Arc<Retry>>,
    breakers: HashMap<String, BreakerConfig>,
}

/// Why a resource is not taken; daprd logs it behind `Could not read resiliency policy {name}: `.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error("invalid duration {text:?}, {name}: {source}")]
    Timeout { name: String, text: String, source: DurationError },
    #[error("invalid retry configuration {name:?}: error decoding '{field}': {reason}")]
    Field { name: String, field: &'static str, reason: String },
    #[error(transparent)]
    Matching(#[from] MatchingError),
    #[error("actor circuit breakers must include scope")]
    NoScope,
    #[error("unknown circuit breaker scope {0:?}")]
    Scope(String),
    #[error("must provide a positive size")]
    CacheSize,
}

/// What applies to a target, with the names resolved.
#[derive(Default)]
pub struct Target {
    pub timeout: Option<Duration>,
    pub retry: Option<Arc<Retry>>,
    pub breaker: Option<BreakerTemplate>,
}

/// How breakers of a target are made, and those that there are.
pub struct BreakerTemplate {
    pub name: String,
    pub config: BreakerConfig,
    /// Capacity of each of `instances`.
    capacity: usize,
    /// By app or actor type (several for a default), then by endpoint or actor.
    instances: Mutex<HashMap<Box<str>, Lru<Arc<Breaker>>>>,
}

impl Definitions {
    /// The policies that are there without any resource.
    pub fn built_in() -> Self {
        let second = Duration::from_secs(1);
        let retries = BuiltIn::ALL.iter().map(|built_in| {
            let retry = match built_in {
                BuiltIn::ServiceRetries | BuiltIn::ActorRetries => Retry::constant(second, 3),
                BuiltIn::ActorNotFoundRetries => Retry::constant(second, 5),
                BuiltIn::ActorReminderRetries => Retry { backoff: Backoff::Exponential, ..Retry::default() },
                BuiltIn::InitializationRetries => Retry {
                    backoff: Backoff::Exponential,
                    max_interval: second,
                    max_elapsed: second * 10,
                    max_retries: Some(3),
                    ..Retry::default()
                },
            };
            (built_in.name().to_owned(), Arc::new(retry))
        });
        Self { retries: retries.collect(), ..Self::default() }
    }

    /// Takes the policies of a resource, or none of them.
    pub fn add(&mut self, resource: &Resiliency) -> Result<(), DefinitionError> {
        let policies = &resource.spec.policies;
        let mut timeouts = Vec::new();
        for (name, text) in &policies.timeouts {
            let duration = parse_duration(text).map_err(|source| DefinitionError::Timeout {
                name: name.clone(),
                text: text.clone(),
                source,
            })?;
            timeouts.push((name.clone(), duration));
        }
        let mut retries = Vec::new();
        for (name, spec) in &policies.retries {
            retries.push((name.clone(), Arc::new(parse_retry(name, spec)?)));
        }
        let mut breakers = Vec::new();
        for (name, spec) in &policies.circuit_breakers {
            breakers.push((name.clone(), parse_breaker(name, spec)?));
        }
        self.timeouts.extend(timeouts);
        self.breakers.extend(breakers);
        for (name, retry) in retries {
            if name == BuiltIn::ActorNotFoundRetries.name() {
                warn!(
                    target: SCOPE,
                    "Attempted to override protected policy {name} which is not allowed. Ignoring provided policy and \
                     using default."
                );
                continue;
            }
            self.retries.insert(name, retry);
        }
        Ok(())
    }

    /// What the named policies make together; unknown names are none.
    pub fn target(&self, timeout: &str, retry: &str, breaker: &str, capacity: usize) -> Target {
        Target {
            timeout: self.timeouts.get(timeout).copied().filter(|timeout| !timeout.is_zero()),
            retry: self.retries.get(retry).cloned(),
            breaker: self.breakers.get(breaker).map(|config| BreakerTemplate {
                name: breaker.to_owned(),
                config: config.clone(),
                capacity,
                instances: Mutex::default(),
            }),
        }
    }

    /// What applies to targets without an entry, by the names of policies.
    pub fn default_target(&self, levels: &[String], capacity: usize) -> Option<Target> {
        let first = |kind: &str, known: &dyn Fn(&str) -> bool| {
            default_names(levels, kind).into_iter().find(|name| known(name)).unwrap_or_default()
        };
        let timeout = first("TimeoutPolicy", &|name| self.timeouts.contains_key(name));
        let retry = first("RetryPolicy", &|name| self.retries.contains_key(name));
        let breaker = first("CircuitBreakerPolicy", &|name| self.breakers.contains_key(name));
        let target = self.target(&timeout, &retry, &breaker, capacity);
        (!target.is_empty()).then_some(target)
    }
}

impl Target {
    pub fn is_empty(&self) -> bool {
        self.timeout.is_none() && self.retry.is_none() && self.breaker.is_none()
    }
}

impl BreakerTemplate {
    /// The breaker of `key` within `group`, made at first use and called `name`.
    pub fn instance(&self, group: &str, key: &str, name: &str) -> Arc<Breaker> {
        let mut instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        if !instances.contains_key(group) {
            instances.insert(group.into(), Lru::new(self.capacity));
        }
        let make = || Arc::new(Breaker::new(name.to_owned(), self.config.clone()));
        instances.get_mut(group).map_or_else(make, |lru| lru.get_or_insert(key, make))
    }
}

pub fn check_targets(resource: &Resiliency) -> Result<(), DefinitionError> {
    let targets = &resource.spec.targets;
    let sizes = targets.apps.values().map(|app| app.circuit_breaker_cache_size);
    let sizes = sizes.chain(targets.actors.values().map(|actor| actor.circuit_breaker_cache_size));
    for ActorTarget { circuit_breaker, circuit_breaker_scope: scope, .. } in targets.actors.values() {
        match (circuit_breaker.as_str(), scope.as_str()) {
            ("", _) | (_, "type" | "id" | "both") => {}
            (_, "") => return Err(DefinitionError::NoScope),
            (_, other) => return Err(DefinitionError::Scope(other.to_owned())),
        }
    }
    if sizes.into_iter().any(|size| size < 0) { Err(DefinitionError::CacheSize) } else { Ok(()) }
}

/// A Go duration, or whole milliseconds. Negative ones are zero: they switch a policy off.
fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let duration = match text.parse::<i64>() {
        Ok(millis) => GoDuration::from_millis(millis),
        Err(_) => text.parse()?,
    };
    Ok(duration.to_std().unwrap_or_default())
}

/// `text` as a duration, or `default` when it is empty.
fn duration_or(name: &str, field: &'static str, text: &str, default: Duration) -> Result<Duration, DefinitionError> {
    if text.is_empty() {
        return Ok(default);
    }
    parse_duration(text).map_err(|_| DefinitionError::Field {
        name: name.to_owned(),
        field,
        reason: format!("invalid duration {text:?}"),
    })
}

fn parse_retry(name: &str, spec: &RetrySpec) -> Result<Retry, DefinitionError> {
    let default = Retry::default();
    let backoff = match spec.policy.to_lowercase().as_str() {
        "" | "constant" => Backoff::Constant,
        "exponential" => Backoff::Exponential,
        _ => {
            return Err(DefinitionError::Field {
                name: name.to_owned(),
                field: "policy",
                reason: format!(
                    "invalid PolicyType {:?}: unexpected back off policy type: {}",
                    spec.policy, spec.policy
                ),
            });
        }
    };
    let mut max_retries = spec.max_retries.and_then(|max| u64::try_from(max).ok());
    let built_in = BuiltIn::ALL.iter().any(|built_in| built_in.name() == name);
    if built_in && max_retries.is_none_or(|max| max < 3) {
        warn!(target: SCOPE, "Attempted override of {name} did not meet minimum retry count, resetting to 3.");
        max_retries = Some(3);
    }
    Ok(Retry {
        backoff,
        duration: duration_or(name, "duration", &spec.duration, default.duration)?,
        max_interval: duration_or(name, "maxInterval", &spec.max_interval, default.max_interval)?,
        max_retries,
        matching: spec.matching.as_ref().map(Matching::parse).transpose()?.unwrap_or_default(),
        ..default
    })
}

fn parse_breaker(name: &str, spec: &CircuitBreakerSpec) -> Result<BreakerConfig, DefinitionError> {
    let timeout = duration_or(name, "timeout", &spec.timeout, Duration::ZERO)?;
    let trip = (!spec.trip.is_empty()).then(|| Trip::compile(&spec.trip)).transpose().map_err(|reason| {
        DefinitionError::Field {
            name: name.to_owned(),
            field: "trip",
            reason: format!("invalid Expr {:?}: {reason}", spec.trip),
        }
    })?;
    Ok(BreakerConfig {
        max_requests: u32::try_from(spec.max_requests).ok().filter(|max| *max > 0).unwrap_or(1),
        interval: duration_or(name, "interval", &spec.interval, Duration::ZERO)?,
        timeout: if timeout.is_zero() { Duration::from_secs(60) } else { timeout },
        trip: trip.map(Arc::new),
    })
}
