//! Pluggable components: the adapters against a component process made of our own in-memory components.

mod bindings;
mod broker;
mod discovery;
mod server;
mod store;

use std::path::Path;
use std::sync::Arc;

use components::pubsub::PubSub;
use components::state::StateStore;
use components::{Built, Registry, Result};

use crate::fixtures::{context, spec};
use server::Component;

/// Discovers what is in `folder` and builds a component of it, named `fixture`.
async fn build(folder: &Path, kind_and_name: &str, metadata: &[(&str, &str)]) -> Result<Built> {
    let mut registry = Registry::default();
    components::pluggable::discover(folder, &mut registry).await.expect("discovery");
    registry.build(spec(kind_and_name, "v1", metadata), context("app")).await
}

async fn state_store(component: &Component, metadata: &[(&str, &str)]) -> Arc<dyn StateStore> {
    match build(component.folder(), "state.test", metadata).await.expect("the store builds") {
        Built::State(store) => store,
        _ => panic!("no state store"),
    }
}

async fn pubsub(component: &Component) -> Arc<dyn PubSub> {
    match build(component.folder(), "pubsub.test", &[]).await.expect("the broker builds") {
        Built::PubSub(broker) => broker,
        _ => panic!("no broker"),
    }
}
