//! Secret stores: names to one or more key/value pairs.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{Metadata, Result};

pub mod local;

/// A secret's keys and values. No `Debug`: values must not be printed.
pub type SecretData = BTreeMap<String, String>;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    pub multiple_key_values_per_secret: bool,
}

/// A secret store.
#[async_trait]
pub trait SecretStore: Send + Sync {
    fn features(&self) -> Features;

    /// A missing secret is [`crate::ErrorKind::NotFound`], or empty where daprd's store answers so.
    async fn get(&self, name: &str, metadata: &Metadata) -> Result<SecretData>;

    /// All secrets by name.
    async fn bulk_get(&self, metadata: &Metadata) -> Result<BTreeMap<String, SecretData>>;

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn close(&self) {}
}
