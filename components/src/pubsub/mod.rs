//! Message brokers: topics with at-least-once delivery.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;

use crate::{Error, Metadata, Result};

pub mod in_memory;
pub mod redelivery;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// The broker drops expired messages itself.
    pub message_ttl: bool,
    /// Topics may hold wildcards.
    pub wildcards: bool,
    /// `bulk_publish` is native.
    pub bulk_publish: bool,
    /// A default batcher must hand each message over at once.
    pub bulk_subscribe_immediate: bool,
}

#[derive(Clone)]
pub struct PublishRequest {
    pub topic: String,
    pub data: Bytes,
    pub metadata: Metadata,
    pub content_type: Option<String>,
}

#[derive(Clone)]
pub struct BulkEntry {
    pub entry_id: String,
    pub event: Bytes,
    pub content_type: String,
    pub metadata: Metadata,
}

#[derive(Clone)]
pub struct BulkPublishRequest {
    pub topic: String,
    pub entries: Vec<BulkEntry>,
    pub metadata: Metadata,
}

#[derive(Debug, Clone)]
pub struct BulkFailure {
    pub entry_id: String,
    pub error: Error,
}

/// A message from the broker.
#[derive(Clone)]
pub struct Message {
    pub topic: String,
    pub data: Bytes,
    pub metadata: Metadata,
    pub content_type: Option<String>,
}

/// What became of a message: the component acknowledges, or not, by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Done with: acknowledge.
    Ack,
    /// The application or the policies failed it. `redeliver`: no policy ended it, so the broker has to offer it again;
    /// else acknowledge where daprd's component does. The text goes to components that report it (pluggable).
    Failed { error: String, redeliver: bool },
    /// Interrupted (the subscription closes): neither acknowledged nor counted as a failure.
    Abandoned,
}

/// Takes messages. Several may be in flight at once, as the component's concurrency allows.
#[async_trait]
pub trait Handler: Send + Sync {
    async fn handle(&self, message: Message) -> Outcome;
}

/// Has a message handled. A handler that panics has failed it: a broker must outlive that, and the message too.
pub(crate) async fn offer(handler: &dyn Handler, message: Message) -> Outcome {
    match AssertUnwindSafe(handler.handle(message)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Failed { error: "the handler panicked".to_owned(), redeliver: true },
    }
}

#[derive(Debug, Clone, Default)]
pub struct SubscribeRequest {
    pub topic: String,
    /// The subscription's own metadata.
    pub metadata: Metadata,
}

/// A running subscription.
#[async_trait]
pub trait Subscription: Send + Sync {
    /// Takes no new messages, waits for those that the handler has, settles them with the broker.
    async fn close(&self);
}

/// A broker.
#[async_trait]
pub trait PubSub: Send + Sync {
    fn features(&self) -> Features;

    /// Returns when the broker has the message.
    async fn publish(&self, request: PublishRequest) -> Result<()>;

    /// Only with [`Features::bulk_publish`]; the entries that failed.
    async fn bulk_publish(&self, _request: BulkPublishRequest) -> Result<Vec<BulkFailure>> {
        Err(Error::unsupported("bulk publish"))
    }

    /// Returns when messages published from now on will be seen.
    async fn subscribe(&self, request: SubscribeRequest, handler: Arc<dyn Handler>) -> Result<Box<dyn Subscription>>;

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) {}
}
