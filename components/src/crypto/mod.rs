//! Cryptography providers: keys by name.

pub mod localstorage;

use async_trait::async_trait;

use crate::Result;

/// A provider of keys. The operations of the crypto API come with that API.
#[async_trait]
pub trait SubtleCrypto: Send + Sync {
    /// Whether the key material behind `key` can be read.
    async fn has_key(&self, key: &str) -> Result<bool>;

    async fn close(&self) {}
}
