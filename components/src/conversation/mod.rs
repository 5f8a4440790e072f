//! Conversation providers: language models.

pub mod echo;

use async_trait::async_trait;

/// A provider. The operations of the conversation API come with that API.
#[async_trait]
pub trait Conversation: Send + Sync {
    async fn close(&self) {}
}
