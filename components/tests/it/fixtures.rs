//! Components by type and metadata.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use components::component::Instance;
use components::metadata::Properties;
use components::nameresolution::Resolver;
use components::pubsub::PubSub;
use components::secretstores::SecretStore;
use components::state::StateStore;
use components::{Built, InitContext, Registry, Result, Spec};

/// How long a test waits for something that has to happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn spec(kind_and_name: &str, version: &str, metadata: &[(&str, &str)]) -> Spec {
    let entries = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Spec {
        name: "fixture".to_owned(),
        kind_and_name: kind_and_name.to_owned(),
        version: version.to_owned(),
        properties: Properties::new(entries),
    }
}

pub fn context(app_id: &str) -> InitContext {
    InitContext {
        app_id: app_id.to_owned(),
        namespace: "default".to_owned(),
        instance: Instance {
            address: "127.0.0.1".to_owned(),
            http_port: 3500,
            internal_port: 50002,
            internal_socket: None,
            app_port: 8080,
            extra: BTreeMap::new(),
        },
        init_timeout: Duration::from_secs(5),
    }
}

pub async fn build(kind_and_name: &str, version: &str, metadata: &[(&str, &str)]) -> Result<Built> {
    Registry::builtin().build(spec(kind_and_name, version, metadata), context("app")).await
}

pub async fn state(kind_and_name: &str, version: &str, metadata: &[(&str, &str)]) -> Arc<dyn StateStore> {
    match build(kind_and_name, version, metadata).await.expect("the store builds") {
        Built::State(store) => store,
        _ => panic!("{kind_and_name} is no state store"),
    }
}

pub async fn pubsub(kind_and_name: &str, app_id: &str, metadata: &[(&str, &str)]) -> Arc<dyn PubSub> {
    let spec = spec(kind_and_name, "v1", metadata);
    match Registry::builtin().build(spec, context(app_id)).await.expect("the broker builds") {
        Built::PubSub(pubsub) => pubsub,
        _ => panic!("{kind_and_name} is no broker"),
    }
}

pub async fn secret_store(kind_and_name: &str, metadata: &[(&str, &str)]) -> Arc<dyn SecretStore> {
    match build(kind_and_name, "v1", metadata).await.expect("the secret store builds") {
        Built::SecretStore(store) => store,
        _ => panic!("{kind_and_name} is no secret store"),
    }
}

/// The text of the error that building ends with.
pub async fn build_error(kind_and_name: &str, version: &str, metadata: &[(&str, &str)]) -> String {
    match build(kind_and_name, version, metadata).await {
        Ok(_) => panic!("{kind_and_name} was built"),
        Err(error) => error.message().to_owned(),
    }
}

/// Waits until `condition` holds.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let start = Instant::now();
    while !condition().await {
        assert!(start.elapsed() < PATIENCE, "did not happen: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A resolver of a sidecar with the app id at `127.0.0.1:port`.
pub async fn resolver(name: &str, app_id: &str, port: u16, metadata: &[(&str, &str)]) -> Arc<dyn Resolver> {
    let mut context = context(app_id);
    context.instance.internal_port = port;
    match Registry::builtin().build(spec(name, "v1", metadata), context).await.expect("the resolver builds") {
        Built::NameResolution(resolver) => resolver,
        _ => panic!("{name} is no resolver"),
    }
}
