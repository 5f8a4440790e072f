//! A call of a component: under its outbound policy, counted.

use std::future::Future;
use std::time::Instant;

use components::Error;

use super::Shared;
use crate::resiliency::{ComponentType, Failure};
use crate::telemetry::metrics::ComponentCall;

/// One call of a component, as often as its policy tries.
pub struct Attempt<'a> {
    shared: &'a Shared,
    kind: ComponentType,
    component: &'a str,
    /// daprd's word for the metrics: `get`, `set`, ...
    operation: &'static str,
}

impl<'a> Attempt<'a> {
    pub fn outbound(shared: &'a Shared, kind: ComponentType, component: &'a str, operation: &'static str) -> Self {
        Self { shared, kind, component, operation }
    }

    /// Runs `attempt` under the component's policy. What the policy itself fails with becomes a component's error.
    pub async fn run<T, F, Fut>(self, attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        self.run_as(attempt, Error::other).await
    }

    /// The same for failures of another type; `other` makes one from the policy's own text.
    pub async fn run_as<T, E, F, Fut>(self, attempt: F, other: impl FnOnce(&'static str) -> E) -> Result<T, E>
    where
        E: Failure,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let started = Instant::now();
        let policy = self.shared.policies.load().component_outbound(self.component, self.kind);
        let outcome = policy.run(attempt).await.map_err(|error| error.into_operation(other));
        self.count(outcome.is_ok(), started);
        outcome
    }

    fn count(&self, success: bool, started: Instant) {
        let Self { component, operation, .. } = *self;
        let call = ComponentCall { component, operation, success, elapsed: started.elapsed() };
        let metrics = &self.shared.metrics;
        match self.kind {
            ComponentType::Statestore => metrics.state(&call),
            ComponentType::Secretstore => metrics.secret(&call),
            ComponentType::Configuration => metrics.configuration(&call),
            ComponentType::Crypto => metrics.crypto(&call),
            ComponentType::Binding => metrics.output_binding(&call),
            // Publications and conversations have measures of their own; locks have none.
            ComponentType::Pubsub | ComponentType::Conversation | ComponentType::Lock => {}
        }
    }
}
