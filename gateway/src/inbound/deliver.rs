//! The way to whoever takes events: the application, or a stream that it opened.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;

use crate::blocks::pubsub::envelope::{Event, attribute};
use crate::resiliency::{Code, Failure};

/// One event on its way.
pub struct TopicEvent {
    pub pubsub: String,
    pub topic: String,
    pub path: String,
    /// The attributes, for gRPC receivers and logs.
    pub event: Event,
    /// The event as it came: what HTTP receivers get.
    pub data: Bytes,
    /// The message's metadata, `pubsubName` among it.
    pub metadata: Metadata,
}

impl TopicEvent {
    pub fn id(&self) -> &str {
        attribute(&self.event, "id")
    }

    /// The publisher's span; `traceparent` goes before the older `traceid`.
    pub fn trace(&self) -> Option<&str> {
        ["traceparent", "traceid"].into_iter().find_map(|name| self.event.get(name)?.as_str())
    }
}

/// One message of a batch.
#[derive(Clone)]
pub struct BulkItem {
    pub entry_id: String,
    /// `None` for raw payloads.
    pub event: Option<Event>,
    pub data: Bytes,
    pub content_type: String,
    pub metadata: Metadata,
}

/// Messages of one path.
pub struct BulkEvent {
    pub pubsub: String,
    pub topic: String,
    pub path: String,
    pub metadata: Metadata,
    pub items: Vec<Arc<BulkItem>>,
}

/// The receiver's word on an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// Not to be offered again; goes to the dead letters if there are any.
    Dropped,
    /// Not to be offered again, and no dead letter (gRPC receivers without the method).
    Ignored,
}

/// The event was not taken.
#[derive(Debug, Clone)]
pub struct Rejected {
    pub message: String,
    pub code: Option<Code>,
    /// The way to the receiver is closing: neither failure nor success.
    pub closing: bool,
}

impl Rejected {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, closing: false }
    }

    pub fn with_code(message: impl Into<String>, code: Code) -> Self {
        Self { message: message.into(), code: Some(code), closing: false }
    }

    pub fn closing() -> Self {
        Self { message: "subscription is closed".to_owned(), code: None, closing: true }
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Failure for Rejected {
    fn code(&self) -> Option<Code> {
        self.code
    }

    fn is_retryable(&self) -> bool {
        !self.closing
    }
}

/// What became of one message of a batch.
pub struct BulkVerdict {
    pub entry_id: String,
    pub outcome: Result<Verdict, Rejected>,
}

/// Takes events.
#[async_trait]
pub trait Deliver: Send + Sync {
    async fn deliver(&self, event: &TopicEvent) -> Result<Verdict, Rejected>;

    /// A verdict for each message, in any order; a missing one counts as a rejection.
    async fn deliver_bulk(&self, event: &BulkEvent) -> Result<Vec<BulkVerdict>, Rejected>;
}
