//! Messages of topics for functions: the way of [`crate::inbound`], with a function in the application's place.

use std::time::Instant;

use async_trait::async_trait;
use wasm_host::function::{Message, Outcome};

use super::call::{Cause, Origin};
use super::{Functions, Inner};
use crate::config::function::TopicTrigger;
use crate::inbound::deliver::{BulkEvent, BulkVerdict, Deliver, Rejected, TopicEvent, Verdict};
use crate::inbound::route::Rule;
use crate::inbound::subscription::Subscription;
use crate::loaded::SubscriptionSource;
use crate::telemetry::metrics::Delivery;
use crate::telemetry::trace::SpanContext;

/// The subscription of a trigger.
///
/// # Errors
/// A rule's condition does not parse.
pub(super) fn subscription(trigger: &TopicTrigger) -> Result<Subscription, String> {
    let rules = trigger.rules.iter().map(|(condition, path)| Rule::new(condition, path));
    Ok(Subscription {
        pubsub: trigger.pubsub.clone(),
        topic: trigger.topic.clone(),
        metadata: trigger.metadata.clone(),
        rules: rules.collect::<Result<_, _>>()?,
        dead_letter_topic: trigger.dead_letter_topic.clone(),
        bulk: None,
        source: SubscriptionSource::Declarative,
    })
}

/// Delivers to one function.
pub(super) struct ToFunction {
    pub inner: std::sync::Weak<Inner>,
    pub name: String,
}

#[async_trait]
impl Deliver for ToFunction {
    async fn deliver(&self, event: &TopicEvent) -> Result<Verdict, Rejected> {
        let name = &self.name;
        let Some(functions) = Functions::upgrade(&self.inner) else { return Err(Rejected::closing()) };
        let table = functions.table();
        let Some(slot) = table.by_name(name) else { return Err(Rejected::closing()) };
        let started = Instant::now();
        let message = Message {
            pubsub: event.pubsub.clone(),
            topic: event.topic.clone(),
            path: event.path.clone(),
            envelope: event.data.clone(),
        };
        let trace = event.trace().and_then(SpanContext::from_traceparent);
        let origin = Origin { cause: Cause::Topic, depth: 0, trace: trace.as_ref() };
        let id = event.id();
        let (outcome, process_status) = match functions.message(slot, origin, message).await {
            Ok(Outcome::Success) => (Ok(Verdict::Done), "success"),
            Ok(Outcome::Drop) => {
                tracing::warn!(target: super::SCOPE, "Function {name} dropped the event {id} of {}", event.topic);
                (Ok(Verdict::Dropped), "drop")
            }
            Ok(Outcome::Retry) => {
                (Err(Rejected::new(format!("the function {name} asked for the event {id} again"))), "retry")
            }
            Err(error) => (Err(Rejected::new(format!("the function {name}, event {id}: {error}"))), "retry"),
        };
        let (component, topic, elapsed) = (&event.pubsub, &event.topic, started.elapsed());
        let delivery = Delivery { component, topic, process_status, status: "", elapsed };
        functions.shared().metrics.pubsub_ingress(&delivery);
        outcome
    }

    async fn deliver_bulk(&self, _event: &BulkEvent) -> Result<Vec<BulkVerdict>, Rejected> {
        Err(Rejected::new("functions take no batches"))
    }
}
