//! One message at a time: read, route, deliver under the inbound policy, settle (as daprd 1.18).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use components::pubsub::{Handler, Message, Outcome};

use super::dead_letter::{self, Original};
use super::deliver::{Deliver, Rejected, Verdict};
use super::subscription::Subscription;
use super::{SCOPE, receive, route};
use crate::blocks::Shared;
use crate::blocks::pubsub::PubSubBlock;
use crate::blocks::pubsub::envelope::{attribute, has_expired};
use crate::loaded::{Lease, LoadedPubSub};
use crate::resiliency::{ComponentType, PolicyError};
use crate::telemetry::metrics::Delivery;

/// What a subscription's messages pass.
#[derive(Clone)]
pub struct Pipeline {
    pub shared: Shared,
    pub block: PubSubBlock,
    pub broker: Lease<LoadedPubSub>,
    pub subscription: Arc<Subscription>,
    pub deliver: Arc<dyn Deliver>,
    /// Set once the subscription closes: what fails from then on is neither failure nor success.
    pub closing: Arc<AtomicBool>,
}

impl Pipeline {
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// The topic as the application knows it.
    pub fn topic(&self, wire: &str) -> String {
        match &self.broker.namespace_prefix {
            Some(prefix) => wire.replacen(prefix.as_str(), "", 1),
            None => wire.to_owned(),
        }
    }

    pub fn count(&self, topic: &str, process_status: &'static str, status: &'static str, elapsed: Duration) {
        let component = &self.subscription.pubsub;
        self.shared.metrics.pubsub_ingress(&Delivery { component, topic, process_status, status, elapsed });
    }

    pub async fn dead_letter(&self, original: &Original) -> bool {
        dead_letter::send(&self.block, &self.broker, &self.subscription, original).await
    }

    /// What the broker is told of a message that failed for good: with a retry policy or dead letters the end is
    /// daprd's, without either the broker offers the message again.
    pub fn failed(&self, error: String) -> Outcome {
        let policy = self.shared.policies.load().component_inbound(&self.subscription.pubsub, ComponentType::Pubsub);
        let is_ended = policy.has_retries() && !self.subscription.has_dead_letters();
        Outcome::Failed { error, redeliver: !is_ended }
    }

    /// A message that cannot be offered to the application at all.
    async fn unusable(&self, topic: &str, original: &Original, error: String) -> Outcome {
        if self.dead_letter(original).await {
            self.count(topic, "drop", "", Duration::ZERO);
            return Outcome::Ack;
        }
        self.count(topic, "retry", "", Duration::ZERO);
        self.failed(error)
    }
}

/// Handles the messages of one subscription.
pub struct Single(pub Pipeline);

#[async_trait]
impl Handler for Single {
    async fn handle(&self, message: Message) -> Outcome {
        let Self(pipeline) = self;
        if pipeline.is_closing() {
            return Outcome::Abandoned;
        }
        let subscription = &pipeline.subscription;
        let name = &subscription.pubsub;
        let topic = pipeline.topic(&message.topic);
        let mut original = Original {
            data: message.data.clone(),
            metadata: message.metadata.clone(),
            content_type: message.content_type.clone(),
        };
        let mut event = match receive::read(subscription, topic.clone(), message) {
            Ok(event) => event,
            Err(error) => {
                tracing::error!(
                    target: SCOPE,
                    "error deserializing cloud event in pubsub {name} and topic {topic}: {error}"
                );
                return pipeline.unusable(&topic, &original, error).await;
            }
        };
        original.metadata = event.metadata.clone();
        if has_expired(&event.event) {
            tracing::warn!(
                target: SCOPE,
                "dropping expired pub/sub event {} as of {}", event.id(), attribute(&event.event, "expiration")
            );
            pipeline.count(&topic, "drop", "", Duration::ZERO);
            pipeline.dead_letter(&original).await;
            return Outcome::Ack;
        }
        match route::find(&subscription.rules, &route::Subject::Event(&event.event)) {
            Ok(Some(path)) => event.path = path.to_owned(),
            Ok(None) => {
                tracing::debug!(
                    target: SCOPE,
                    "no matching route for event {} in pubsub {name} and topic {topic}; skipping", event.id()
                );
                pipeline.count(&topic, "drop", "success", Duration::ZERO);
                pipeline.dead_letter(&original).await;
                return Outcome::Ack;
            }
            Err(error) => {
                tracing::error!(
                    target: SCOPE,
                    "error finding matching route for event {} in pubsub {name} and topic {topic}: {error}", event.id()
                );
                return pipeline.unusable(&topic, &original, error).await;
            }
        }
        let policy = pipeline.shared.policies.load().component_inbound(name, ComponentType::Pubsub);
        let delivered = policy
            .run(|| async {
                let verdict = pipeline.deliver.deliver(&event).await;
                if let Err(rejected) = &verdict
                    && !rejected.closing
                {
                    tracing::warn!(
                        target: SCOPE,
                        "encountered a retriable error while publishing a subscribed message to topic {topic}, err: {rejected}"
                    );
                }
                verdict
            })
            .await;
        match delivered {
            Ok(Verdict::Done | Verdict::Ignored) => Outcome::Ack,
            Ok(Verdict::Dropped) => {
                pipeline.dead_letter(&original).await;
                Outcome::Ack
            }
            Err(PolicyError::Operation(Rejected { closing: true, .. })) => Outcome::Abandoned,
            Err(_) if pipeline.is_closing() => Outcome::Abandoned,
            Err(error) => pipeline.unusable(&topic, &original, error.to_string()).await,
        }
    }
}
