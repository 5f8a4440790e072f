//! All policies of a sidecar, and which one a target has.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{debug, error, info};

use super::SCOPE;
use super::breaker::Breaker;
use super::definitions::{BreakerTemplate, Definitions, Target, check_targets};
use super::policy::{Inner, Policy, Reporter};
use super::retry::Retry;
use super::targets::{BuiltIn, ComponentType, Operation, component_levels};
use crate::config::Resiliency;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::Flow;

/// How many endpoints of an app, and how many actors of a type, have a breaker at one time.
const APP_BREAKERS: usize = 100;
const ACTOR_BREAKERS: usize = 5_000;

/// Policies by target, and the state of their breakers. A reload makes a new value, with fresh breakers.
pub struct Policies {
    metrics: Metrics,
    name: Arc<str>,
    namespace: Arc<str>,
    built_in: HashMap<&'static str, Arc<Retry>>,
    apps: HashMap<String, Target>,
    default_app: Option<Target>,
    actors: HashMap<String, ActorPolicies>,
    default_actor: Option<ActorPolicies>,
    inbound: Direction,
    outbound: Direction,
    /// One for each component, whatever the direction.
    component_breakers: Mutex<HashMap<Box<str>, Arc<Breaker>>>,
}

struct ActorPolicies {
    target: Target,
    /// One breaker for the type, or one for each actor.
    breaker_by_id: bool,
}

/// Components in one direction.
#[derive(Default)]
struct Direction {
    named: HashMap<String, Target>,
    defaults: HashMap<ComponentType, Target>,
}

impl Policies {
    /// No policies but the built-in ones.
    pub fn none(metrics: Metrics) -> Self {
        Self::new(&[], metrics)
    }

    /// Policies from resources, later ones over earlier ones. A resource with a mistake is logged and left out.
    pub fn new(resources: &[Resiliency], metrics: Metrics) -> Self {
        let mut definitions = Definitions::built_in();
        let mut taken: Vec<&Resiliency> = Vec::new();
        for resource in resources {
            let name = &resource.metadata.name;
            info!(target: SCOPE, "Loading Resiliency configuration: {name}");
            debug!(target: SCOPE, "Resiliency configuration ({name}): {resource:?}");
            match definitions.add(resource).and_then(|()| check_targets(resource)) {
                Ok(()) => {
                    metrics.resiliency_loaded(name, &resource.metadata.namespace);
                    taken.push(resource);
                }
                Err(error) => error!(target: SCOPE, "Could not read resiliency policy {name}: {error}"),
            }
        }
        let last = taken.last().map(|resource| &resource.metadata);
        let mut policies = Self {
            metrics,
            name: last.map_or("", |metadata| &metadata.name).into(),
            namespace: last.map_or("", |metadata| &metadata.namespace).into(),
            built_in: BuiltIn::ALL
                .iter()
                .filter_map(|built_in| Some((built_in.name(), definitions.retries.get(built_in.name())?.clone())))
                .collect(),
            apps: HashMap::new(),
            default_app: definitions.default_target(&["App".to_owned()], APP_BREAKERS),
            actors: HashMap::new(),
            default_actor: definitions
                .default_target(&["Actor".to_owned()], APP_BREAKERS)
                .map(|target| ActorPolicies { target, breaker_by_id: false }),
            inbound: Direction::of(&definitions, "Inbound"),
            outbound: Direction::of(&definitions, "Outbound"),
            component_breakers: Mutex::default(),
        };
        for resource in taken {
            policies.add_targets(resource, &definitions);
        }
        policies
    }

    fn add_targets(&mut self, resource: &Resiliency, definitions: &Definitions) {
        let targets = &resource.spec.targets;
        for (app, names) in &targets.apps {
            let capacity = capacity(names.circuit_breaker_cache_size, APP_BREAKERS);
            let target = definitions.target(&names.timeout, &names.retry, &names.circuit_breaker, capacity);
            self.apps.insert(app.clone(), target);
        }
        for (kind, names) in &targets.actors {
            let capacity = capacity(names.circuit_breaker_cache_size, ACTOR_BREAKERS);
            let target = definitions.target(&names.timeout, &names.retry, &names.circuit_breaker, capacity);
            let breaker_by_id = names.circuit_breaker_scope != "type";
            self.actors.insert(kind.clone(), ActorPolicies { target, breaker_by_id });
        }
        for (component, directions) in &targets.components {
            for (direction, names) in
                [(&mut self.inbound, &directions.inbound), (&mut self.outbound, &directions.outbound)]
            {
                let target = definitions.target(&names.timeout, &names.retry, &names.circuit_breaker, 1);
                direction.named.insert(component.clone(), target);
            }
        }
    }

    /// For a call of `endpoint` (a method or path) of another app.
    pub fn app(&self, app: &str, endpoint: &str) -> Policy {
        let Some(target) = self.apps.get(app).or(self.default_app.as_ref()).filter(|target| !target.is_empty()) else {
            return Policy::none();
        };
        let breaker = target.breaker.as_ref().map(|template| template.instance(app, endpoint, endpoint));
        let operation = Operation::Endpoint { app: app.into(), endpoint: endpoint.into() };
        self.policy(target, breaker, operation, Flow::Outbound, || format!("app_{app}"))
    }

    /// Whether an app has policies of its own (and not only defaults).
    pub fn has_app(&self, app: &str) -> bool {
        self.apps.contains_key(app)
    }

    /// For a call of an actor, before its turn: retry and breaker.
    pub fn actor_before_turn(&self, kind: &str, id: &str) -> Policy {
        let Some(policies) = self.actors.get(kind).or(self.default_actor.as_ref()) else { return Policy::none() };
        let target = &policies.target;
        if target.retry.is_none() && target.breaker.is_none() {
            return Policy::none();
        }
        let breaker = target.breaker.as_ref().map(|template| {
            let key = if policies.breaker_by_id { format!("{kind}-{id}") } else { kind.to_owned() };
            template.instance(kind, &key, &key)
        });
        let inner = Inner {
            operation: Operation::Actor { kind: kind.into(), id: id.into() },
            timeout: None,
            retry: target.retry.clone(),
            breaker,
            reporter: Some(self.reporter(Flow::Outbound, format!("actor_{kind}"))),
        };
        Policy::new(inner)
    }

    /// For a call of an actor, in its turn: the timeout.
    pub fn actor_in_turn(&self, kind: &str, id: &str) -> Policy {
        let target = self.actors.get(kind).or(self.default_actor.as_ref());
        let Some(timeout) = target.and_then(|policies| policies.target.timeout) else { return Policy::none() };
        Policy::new(Inner {
            operation: Operation::Actor { kind: kind.into(), id: id.into() },
            timeout: Some(timeout),
            retry: None,
            breaker: None,
            reporter: Some(self.reporter(Flow::Outbound, format!("actor_{kind}"))),
        })
    }

    /// For a call of a component.
    pub fn component_outbound(&self, name: &str, kind: ComponentType) -> Policy {
        self.component(&self.outbound, name, kind, Flow::Outbound)
    }

    /// For what a component hands to the app.
    pub fn component_inbound(&self, name: &str, kind: ComponentType) -> Policy {
        self.component(&self.inbound, name, kind, Flow::Inbound)
    }

    fn component(&self, direction: &Direction, name: &str, kind: ComponentType, flow: Flow) -> Policy {
        let target = direction.named.get(name).or_else(|| direction.defaults.get(&kind));
        let Some(target) = target.filter(|target| !target.is_empty()) else { return Policy::none() };
        let breaker = target.breaker.as_ref().map(|template| self.component_breaker(name, template));
        let operation = match flow {
            Flow::Outbound => Operation::Outbound(name.into()),
            Flow::Inbound => Operation::Inbound(name.into()),
        };
        self.policy(target, breaker, operation, flow, || format!("{}_{name}", kind.as_str()))
    }

    fn component_breaker(&self, name: &str, template: &BreakerTemplate) -> Arc<Breaker> {
        let mut breakers = self.component_breakers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = breakers.get(name) {
            return breaker.clone();
        }
        let breaker = Arc::new(Breaker::new(format!("{}-{name}", template.name), template.config.clone()));
        breakers.insert(name.into(), breaker.clone());
        breaker
    }

    /// A policy that daprd has without any resource. It is not counted.
    pub fn built_in(&self, which: BuiltIn) -> Policy {
        let Some(retry) = self.built_in.get(which.name()) else { return Policy::none() };
        Policy::new(Inner {
            operation: Operation::BuiltIn(which.name()),
            timeout: None,
            retry: Some(retry.clone()),
            breaker: None,
            reporter: None,
        })
    }

    fn policy(
        &self,
        target: &Target,
        breaker: Option<Arc<Breaker>>,
        operation: Operation,
        flow: Flow,
        label: impl FnOnce() -> String,
    ) -> Policy {
        Policy::new(Inner {
            operation,
            timeout: target.timeout,
            retry: target.retry.clone(),
            breaker,
            reporter: Some(self.reporter(flow, label())),
        })
    }

    fn reporter(&self, flow: Flow, target: String) -> Reporter {
        let (name, namespace) = (self.name.clone(), self.namespace.clone());
        Reporter { metrics: self.metrics.clone(), name, namespace, flow, target }
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").field("name", &self.name).field("apps", &self.apps.len()).finish_non_exhaustive()
    }
}

fn capacity(size: i64, default: usize) -> usize {
    usize::try_from(size).ok().filter(|size| *size > 0).unwrap_or(default)
}

impl Direction {
    /// No components by name yet, and the defaults of every kind.
    fn of(definitions: &Definitions, direction: &str) -> Self {
        let defaults = ComponentType::ALL
            .iter()
            .filter_map(|kind| Some((*kind, definitions.default_target(&component_levels(*kind, direction), 1)?)))
            .collect();
        Self { named: HashMap::new(), defaults }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::configuration::MetricSpec;
    use crate::config::{decode::decode, yaml};
    use crate::resiliency::{Failure, PolicyError};

    struct Failed;

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("failed")
        }
    }

    impl Failure for Failed {}

    fn policies(spec: &str) -> (Policies, Metrics) {
        let resource: Resiliency =
            decode(yaml::parse(&format!("metadata: {{name: mine}}\nspec:\n{spec}")).unwrap()).unwrap();
        let metrics = Metrics::new("shop", "", &MetricSpec::default());
        (Policies::new(&[resource], metrics.clone()), metrics)
    }

    async fn attempts(policy: &Policy) -> u32 {
        let mut count = 0;
        let _: Result<(), PolicyError<Failed>> = policy
            .run(|| {
                count += 1;
                async { Err(Failed) }
            })
            .await;
        count
    }

    #[tokio::test(start_paused = true)]
    async fn targets_name_their_policies() {
        let (policies, metrics) = policies(
            "  policies: {retries: {r: {duration: 10, maxRetries: 2}}, timeouts: {t: 5s}}
  targets: {apps: {bank: {retry: r, timeout: t}}, components: {store: {outbound: {retry: r}}}}",
        );
        assert_eq!(attempts(&policies.app("bank", "m")).await, 3);
        assert_eq!(policies.app("bank", "m").timeout(), Some(Duration::from_secs(5)));
        assert_eq!(attempts(&policies.app("other", "m")).await, 1);
        assert_eq!(attempts(&policies.component_outbound("store", ComponentType::Statestore)).await, 3);
        assert_eq!(attempts(&policies.component_inbound("store", ComponentType::Statestore)).await, 1);
        let page = metrics.render();
        for line in [
            r#"dapr_resiliency_loaded{app_id="shop",name="mine",namespace=""} 1"#,
            r#"dapr_resiliency_count{app_id="shop",flow_direction="outbound",name="mine",namespace="",policy="retry",status="",target="app_bank"} 2"#,
            r#"dapr_resiliency_activations_total{app_id="shop",flow_direction="outbound",name="mine",namespace="",policy="retry",status="",target="Statestore_store"} 1"#,
        ] {
            assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn defaults_apply_by_name() {
        let (policies, _) = policies(
            "  policies: {retries: {DefaultRetryPolicy: {maxRetries: 1, duration: 1}, DefaultPubsubComponentInboundRetryPolicy: {maxRetries: 4, duration: 1}}}
  targets: {components: {quiet: {outbound: {}}}}",
        );
        assert_eq!(attempts(&policies.app("any", "m")).await, 2);
        assert_eq!(attempts(&policies.component_inbound("bus", ComponentType::Pubsub)).await, 5);
        assert_eq!(attempts(&policies.component_outbound("bus", ComponentType::Pubsub)).await, 2);
        assert_eq!(attempts(&policies.component_outbound("quiet", ComponentType::Statestore)).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn endpoints_have_breakers_of_their_own() {
        let (policies, _) = policies(
            "  policies: {circuitBreakers: {cb: {trip: consecutiveFailures >= 1, timeout: 5s}}}
  targets: {apps: {bank: {circuitBreaker: cb}}}",
        );
        assert_eq!(attempts(&policies.app("bank", "a")).await, 1);
        assert_eq!(attempts(&policies.app("bank", "a")).await, 0);
        assert_eq!(attempts(&policies.app("bank", "b")).await, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_component_has_one_breaker_for_both_directions() {
        let (policies, _) = policies(
            "  policies: {circuitBreakers: {cb: {trip: consecutiveFailures >= 1}}}
  targets: {components: {bus: {inbound: {circuitBreaker: cb}, outbound: {circuitBreaker: cb}}}}",
        );
        assert_eq!(attempts(&policies.component_inbound("bus", ComponentType::Pubsub)).await, 1);
        assert_eq!(attempts(&policies.component_outbound("bus", ComponentType::Pubsub)).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn built_in_policies_are_there_and_keep_three_retries() {
        let none = Policies::none(Metrics::disabled());
        assert_eq!(attempts(&none.built_in(BuiltIn::ServiceRetries)).await, 4);
        let (policies, _) = policies(
            "  policies: {retries: {DaprBuiltInServiceRetries: {maxRetries: 1, duration: 1}, DaprBuiltInActorNotFoundRetries: {maxRetries: 9, duration: 1}}}",
        );
        assert_eq!(attempts(&policies.built_in(BuiltIn::ServiceRetries)).await, 4);
        assert_eq!(attempts(&policies.built_in(BuiltIn::ActorNotFoundRetries)).await, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn a_resource_with_a_mistake_is_left_out() {
        let (policies, metrics) = policies(
            "  policies: {retries: {DefaultRetryPolicy: {maxRetries: 1, matching: {httpStatusCodes: '600'}}}}",
        );
        assert_eq!(attempts(&policies.app("any", "m")).await, 1);
        assert!(!metrics.render().contains("resiliency_loaded"));
    }

    #[tokio::test(start_paused = true)]
    async fn actors_retry_before_their_turn_and_time_out_in_it() {
        let (policies, _) = policies(
            "  policies: {retries: {r: {maxRetries: 2, duration: 1}}, timeouts: {t: 1s}}
  targets: {actors: {Cart: {retry: r, timeout: t}}}",
        );
        assert_eq!(attempts(&policies.actor_before_turn("Cart", "1")).await, 3);
        assert_eq!(policies.actor_before_turn("Cart", "1").timeout(), None);
        assert_eq!(policies.actor_in_turn("Cart", "1").timeout(), Some(Duration::from_secs(1)));
    }
}
