//! The one way to a dead-letter topic: the original bytes and metadata, on the same broker (as daprd 1.18).

use std::time::Duration;

use bytes::Bytes;
use components::Metadata;
use components::pubsub::PublishRequest;

use super::subscription::Subscription;
use crate::blocks::pubsub::PubSubBlock;
use crate::loaded::{Lease, LoadedPubSub};
use crate::operation::Front;

/// The time that a publication to a dead-letter topic may take: the message's own may be used up.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A message as the broker gave it.
#[derive(Clone)]
pub struct Original {
    pub data: Bytes,
    pub metadata: Metadata,
    pub content_type: Option<String>,
}

/// Whether the message is now at the dead-letter topic. False when there is none, or it could not be reached (logged).
pub async fn send(
    block: &PubSubBlock,
    broker: &Lease<LoadedPubSub>,
    subscription: &Subscription,
    original: &Original,
) -> bool {
    if !subscription.has_dead_letters() {
        return false;
    }
    let request = PublishRequest {
        topic: subscription.dead_letter_topic.clone(),
        data: original.data.clone(),
        metadata: original.metadata.clone(),
        content_type: original.content_type.clone(),
    };
    let publication = block.publish(Front::Grpc, &subscription.pubsub, broker, request);
    let failure = match tokio::time::timeout(TIMEOUT, publication).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "context deadline exceeded".to_owned(),
    };
    tracing::error!(
        target: super::SCOPE,
        "error sending message to dead letter, origin topic: {} dead letter topic {} err: {failure}",
        subscription.topic, subscription.dead_letter_topic
    );
    false
}
