//! Bindings: events from outside, calls to outside.

pub mod cron;
pub mod localstorage;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::metadata::Properties;
use crate::{Metadata, Result};

/// An event of an input binding.
#[derive(Clone, Default)]
pub struct Event {
    pub data: Bytes,
    pub metadata: Metadata,
    pub content_type: Option<String>,
}

/// Takes events; the application's answer goes back to components that can use it.
#[async_trait]
pub trait EventHandler: Send + Sync {
    async fn handle(&self, event: Event) -> Result<Option<Bytes>>;
}

/// A running reader.
#[async_trait]
pub trait Reader: Send + Sync {
    async fn close(&self);
}

#[async_trait]
pub trait InputBinding: Send + Sync {
    async fn read(&self, handler: Arc<dyn EventHandler>) -> Result<Box<dyn Reader>>;

    async fn close(&self) {}
}

#[derive(Clone, Default)]
pub struct InvokeRequest {
    pub operation: String,
    pub data: Bytes,
    pub metadata: Metadata,
}

#[derive(Clone, Default)]
pub struct InvokeReply {
    pub data: Bytes,
    pub metadata: Metadata,
    pub content_type: Option<String>,
}

#[async_trait]
pub trait OutputBinding: Send + Sync {
    /// What [`OutputBinding::invoke`] accepts.
    fn operations(&self) -> Vec<String>;

    /// `None`: done, and there is nothing to say.
    async fn invoke(&self, request: InvokeRequest) -> Result<Option<InvokeReply>>;

    async fn close(&self) {}
}

/// Whether a component's `direction` (`input`, `output`, or both with a comma) lets it work in `direction`. Without
/// that property it works in every direction it can.
pub fn wants_direction(properties: &Properties, direction: &str) -> bool {
    match properties.get(&["direction"]) {
        Some(text) => text.split(',').any(|word| word.trim().eq_ignore_ascii_case(direction)),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_rules_out_the_other() {
        let with = |text: &str| Properties::new([("Direction".to_owned(), text.to_owned())]);
        assert!(wants_direction(&Properties::default(), "input"));
        assert!(wants_direction(&with("Input, output"), "output"));
        assert!(!wants_direction(&with("output"), "input"));
        assert!(!wants_direction(&with(""), "input"));
    }
}
