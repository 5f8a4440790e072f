//! Building the name resolver: a failure is logged, and calls to other apps fail with its text (as daprd 1.18).

use std::sync::Arc;

use async_trait::async_trait;
use components::component::{Built, InitContext, Instance, Spec};
use components::metadata::Properties;
use components::nameresolution::{ResolveRequest, Resolver};
use components::{Error, ErrorKind};

use super::{Process, SCOPE};
use crate::config::Configuration;

/// The resolver that the Configuration names, `mdns` by default.
pub async fn build(process: &Process, configuration: &Configuration, instance: Instance) -> Arc<dyn Resolver> {
    let spec = configuration.spec.name_resolution.clone().unwrap_or_default();
    let name = if spec.component.is_empty() { "mdns" } else { &spec.component };
    let properties = properties(&spec.configuration);
    let resource = Spec {
        name: "nr".to_owned(),
        kind_and_name: format!("nameresolution.{name}"),
        version: spec.version.clone(),
        properties,
    };
    let flags = &process.flags;
    let context = InitContext {
        app_id: flags.app_id.clone(),
        namespace: flags.environment.namespace().unwrap_or("default").to_owned(),
        instance,
        init_timeout: std::time::Duration::from_secs(5),
    };
    match process.registry.build(resource, context).await {
        Ok(Built::NameResolution(resolver)) => {
            tracing::info!(target: SCOPE, "Initialized name resolution to {name}");
            resolver
        }
        Ok(_) => failed(name, "the component is no name resolver"),
        Err(error) => failed(name, error.message()),
    }
}

fn failed(name: &str, error: &str) -> Arc<dyn Resolver> {
    tracing::warn!(target: SCOPE, "failed to init name resolution: {error}");
    Arc::new(Unresolved { reason: format!("name resolution {name} could not be initialized: {error}") })
}

/// The free-form configuration as texts; what is no scalar goes as JSON.
fn properties(configuration: &serde_json::Value) -> Properties {
    let members = configuration.as_object().into_iter().flatten();
    Properties::new(members.map(|(name, value)| {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        (name.clone(), text)
    }))
}

/// Knows no one.
struct Unresolved {
    reason: String,
}

#[async_trait]
impl Resolver for Unresolved {
    async fn resolve(&self, _request: &ResolveRequest) -> components::Result<Vec<String>> {
        Err(Error::new(ErrorKind::Unavailable, self.reason.clone()))
    }
}
