//! From component resources to loaded components: secrets, order, errors (as daprd 1.18, component processor).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use components::component::{Built, InitContext, Instance, Spec};
use components::metadata::Properties;
use components::secretstores::SecretStore;
use components::{Metadata, Registry};

use crate::blocks::Shared;
use crate::config::component::Secrets;
use crate::config::meta::Resource;
use crate::config::template::Identity;
use crate::config::{Component, Environment};
use crate::loaded::{
    self, ComponentInfo, Encryption, KeyPrefix, Lease, LoadedBinding, LoadedPubSub, LoadedState, Retired, Scopes,
};
use crate::pipeline::{self, Middlewares, Workshop};

const SCOPE: &str = "dapr.runtime.processor";

/// The kinds of components that have a block; `workflow` is none of them.
const BLOCKS: [&str; 9] =
    ["bindings", "pubsub", "secretstores", "state", "configuration", "lock", "crypto", "conversation", "middleware"];

/// Builds components and puts them where blocks find them.
pub struct Loader {
    pub shared: Shared,
    pub registry: Registry,
    pub environment: Environment,
    pub identity: Identity,
    pub instance: Instance,
    /// `type` or `type/version` of components that may not be used.
    pub deny: Vec<String>,
    /// Whether WebAssembly guests have invented clocks and chance, whatever their components say (`spec.wasm`).
    pub strict_sandbox: bool,
    pub middlewares: Middlewares,
    pub workshop: Workshop,
    loaded: BTreeMap<String, Held>,
    /// Components that wait for a secret store, in file order.
    parked: Vec<Component>,
}

/// A component in use: what it was made from, and how to end it.
struct Held {
    resource: Component,
    built: Option<Built>,
    retired: Option<Retired>,
}

/// What became of one resource.
enum Loaded {
    Done,
    /// Its secret store is not there yet.
    Parked,
}

impl Loader {
    pub fn new(
        shared: Shared,
        registry: Registry,
        environment: Environment,
        identity: Identity,
        instance: Instance,
        deny: Vec<String>,
    ) -> Self {
        let workshop = Workshop::new(&environment);
        #[cfg(feature = "wasm")]
        let registry = {
            let mut registry = registry;
            wasm_host::components::register(&mut registry, &workshop.guests);
            registry
        };
        Self {
            shared,
            registry,
            environment,
            identity,
            instance,
            deny,
            strict_sandbox: false,
            middlewares: Middlewares::default(),
            workshop,
            loaded: BTreeMap::new(),
            parked: Vec::new(),
        }
    }

    /// Loads all resources: secret stores first, then the others in file order. What waits for a secret store that
    /// none of them is stays parked.
    ///
    /// # Errors
    /// The text that daprd ends with, for a component that fails and does not ignore errors.
    pub async fn load_all(&mut self, resources: Vec<Component>) -> Result<(), String> {
        let (stores, others): (Vec<_>, Vec<_>) =
            resources.into_iter().partition(|component| component.block() == "secretstores");
        for component in stores.into_iter().chain(others) {
            self.process(component).await?;
        }
        Ok(())
    }

    /// Loads one resource, and what was parked for it.
    async fn process(&mut self, component: Component) -> Result<(), String> {
        let name = component.metadata.name.clone();
        let is_store = component.block() == "secretstores";
        match self.load(&component).await {
            Ok(Loaded::Done) => {}
            Ok(Loaded::Parked) => {
                self.parked.push(component);
                return Ok(());
            }
            Err(error) => {
                let error = format!("process component {name} error: {error}");
                if component.spec.ignore_errors {
                    tracing::error!(target: SCOPE, "Ignoring error processing component: {error}");
                    return Ok(());
                }
                tracing::warn!(target: SCOPE, "Error processing component, daprd will exit gracefully: {error}");
                return Err(error);
            }
        }
        if is_store {
            let waiting = std::mem::take(&mut self.parked);
            for component in waiting {
                Box::pin(self.process(component)).await?;
            }
        }
        Ok(())
    }

    async fn load(&mut self, component: &Component) -> Result<Loaded, String> {
        let kind = &component.spec.kind;
        if !BLOCKS.contains(&component.block()) {
            return Err(format!("incorrect type {kind}"));
        }
        if self.is_denied(component) {
            let name = component.log_name();
            tracing::warn!(target: SCOPE, "component {name} is denied by the configuration and cannot be loaded");
            return Ok(Loaded::Done);
        }
        let Some(secrets) = self.secrets(component).await? else { return Ok(Loaded::Parked) };
        let mut resolved = component
            .properties(&secrets, &self.environment, &self.identity)
            .map_err(|error| init_failure(component, &error.to_string()))?;
        for variable in &resolved.refused_variables {
            tracing::warn!(
                target: "dapr.runtime.processor.secret",
                "Component {} references an env variable that isn't allowed: {variable}", component.metadata.name
            );
        }
        if self.strict_sandbox && is_wasm(kind) {
            let entries = resolved.properties.entries().map(|(name, value)| (name.to_owned(), value.to_owned()));
            let strict = ("strictSandbox".to_owned(), "true".to_owned());
            resolved.properties = Properties::new(entries.chain([strict]));
        }
        self.warn_of_misspelt(component, &resolved.properties);
        if component.block() == "middleware" {
            let built = pipeline::build(kind, &component.spec.version, &resolved.properties, &self.workshop).await;
            let middleware = built.map_err(|error| self.failed(component, &error))?;
            self.middlewares.insert(component.metadata.name.clone(), kind.clone(), middleware);
            self.hold(component, None, None);
            self.announce(component, Vec::new());
            return Ok(Loaded::Done);
        }
        if self.registry.find(kind, &component.spec.version).is_none() {
            let failure = self.failed(component, &unknown_type(component));
            // A line of its own behind daprd's, whose texts tools match.
            let (block, known) = (component.block(), self.registry.known(&component.spec.kind).join(", "));
            tracing::error!(target: "dapr.runtime.processor", "The types of {block} that this build has: {known}");
            return Err(failure);
        }
        let built =
            self.build(component, resolved.properties.clone()).await.map_err(|error| self.failed(component, &error))?;
        let capabilities = loaded::capabilities(&built);
        let retired =
            self.put(component, &built, resolved.properties).map_err(|error| self.failed(component, &error))?;
        self.shared.metrics.component_initialized(&component.spec.kind);
        self.hold(component, Some(built), retired);
        self.announce(component, capabilities);
        Ok(Loaded::Done)
    }

    fn is_denied(&self, component: &Component) -> bool {
        let (kind, version) = (&component.spec.kind, &component.spec.version);
        if self.deny.is_empty() {
            return false;
        }
        kind.is_empty()
            || version.is_empty()
            || self.deny.iter().any(|entry| entry == kind || *entry == format!("{kind}/{version}"))
    }

    /// The secrets that the properties refer to; `None` while their store is not loaded.
    async fn secrets(&self, component: &Component) -> Result<Option<Secrets>, String> {
        let names: Vec<String> = component.secret_names().into_iter().map(str::to_owned).collect();
        fetch_secrets(&self.shared, &component.auth.secret_store, &names, &component.metadata.name, "Component").await
    }

    /// Builds within `initTimeout`.
    async fn build(&self, component: &Component, properties: Properties) -> Result<Built, String> {
        let timeout = component.init_timeout();
        let spec = Spec {
            name: component.metadata.name.clone(),
            kind_and_name: component.spec.kind.clone(),
            version: component.spec.version.clone(),
            properties,
        };
        let context = InitContext {
            app_id: self.shared.app_id.to_string(),
            namespace: self.shared.namespace.to_string(),
            instance: self.instance.clone(),
            init_timeout: timeout,
        };
        match tokio::time::timeout(timeout, self.registry.build(spec, context)).await {
            Ok(Ok(built)) => Ok(built),
            Ok(Err(error)) => Err(init_failure(component, error.message())),
            Err(_) => {
                let name = component.log_name();
                let text = format!(
                    "init timeout for component {name} exceeded after {}",
                    crate::config::GoDuration::from(timeout)
                );
                Err(format!("[INIT_COMPONENT_FAILURE]: initialization error occurred for {name}: {text}"))
            }
        }
    }

    /// Puts a built component where its block finds it.
    fn put(&self, component: &Component, built: &Built, properties: Properties) -> Result<Option<Retired>, String> {
        let name: Arc<str> = component.metadata.name.as_str().into();
        let loaded = &self.shared.loaded;
        macro_rules! put {
            ($map:ident, $value:expr) => {{
                let (lease, retired) = Lease::new($value);
                loaded.update(|components| {
                    components.$map.insert(name.clone(), lease.clone());
                });
                Ok(Some(retired))
            }};
        }
        match built.clone() {
            Built::State(store) => {
                let namespace = self.environment.namespace().unwrap_or_default();
                let prefix = properties.get(&["keyPrefix"]);
                let prefix = KeyPrefix::new(prefix, &name, &self.shared.app_id, namespace)
                    .map_err(|error| init_failure(component, error.message()))?;
                let encryption = encryption(component, &properties)?;
                put!(state, LoadedState { store: store.clone(), prefix, encryption, properties })
            }
            Built::PubSub(broker) => {
                let consumer_id = properties.get(&["consumerID"]).filter(|id| !id.is_empty());
                let consumer_id = consumer_id.unwrap_or(&self.shared.app_id).to_owned();
                let prefix = component.is_namespace_scoped().then(|| self.shared.namespace.to_string());
                let scopes = Scopes::new(&properties, &self.shared.app_id);
                put!(pubsub, LoadedPubSub { broker: broker.clone(), scopes, namespace_prefix: prefix, consumer_id })
            }
            Built::SecretStore(store) => put!(secrets, store.clone()),
            Built::Crypto(provider) => put!(crypto, provider.clone()),
            Built::Conversation(provider) => put!(conversation, provider.clone()),
            Built::Binding { input, output } => {
                let route = properties.get(&["route"]).filter(|route| !route.is_empty()).unwrap_or(&name).to_owned();
                let directions = properties.get(&["direction"]).unwrap_or_default();
                let directions = directions.split(',').map(|word| word.trim().to_ascii_lowercase());
                let directions: Vec<String> = directions.filter(|word| !word.is_empty()).collect();
                put!(bindings, LoadedBinding { input, output, route, directions })
            }
            Built::NameResolution(_) => Err(format!("incorrect type {}", component.spec.kind)),
        }
    }

    fn hold(&mut self, component: &Component, built: Option<Built>, retired: Option<Retired>) {
        let held = Held { resource: component.clone(), built, retired };
        self.loaded.insert(component.metadata.name.clone(), held);
    }

    fn announce(&self, component: &Component, capabilities: Vec<String>) {
        let info = Arc::new(ComponentInfo {
            name: component.metadata.name.clone(),
            kind_and_name: component.spec.kind.clone(),
            version: component.spec.version.clone(),
            capabilities,
        });
        self.shared.loaded.update(|components| {
            components.infos.retain(|other| other.name != info.name);
            components.infos.push(info.clone());
        });
        self.shared.metrics.component_loaded();
        tracing::info!(target: SCOPE, "Component loaded: {}", component.log_name());
    }

    /// Logs a failure and wraps it as daprd does.
    fn failed(&self, component: &Component, error: &str) -> String {
        let name = component.log_name();
        tracing::error!(target: SCOPE, "Failed to init component {name}: {error}");
        self.shared.metrics.component_init_failed(&component.spec.kind, "init", &component.metadata.name);
        format!("[INIT_COMPONENT_FAILURE]: initialization error occurred for {name}: {error}")
    }

    fn warn_of_misspelt(&self, component: &Component, properties: &Properties) {
        let Some(registration) = self.registry.find(&component.spec.kind, &component.spec.version) else { return };
        for (misspelt, nearest) in
            components::registry::misspelt(properties, registration.properties, component.block())
        {
            tracing::warn!(
                target: SCOPE,
                "Component {} has metadata '{misspelt}', which {} does not know: did you mean '{nearest}'?",
                component.log_name(), component.spec.kind
            );
        }
    }

    /// Makes the loaded components those of `resources`: unchanged ones stay as they are, changed and new ones are
    /// built, and what is gone or replaced is closed once nobody uses it.
    ///
    /// # Errors
    /// As [`Loader::load_all`]; what was loaded before stays in use.
    pub async fn reload(&mut self, resources: Vec<Component>, grace: Duration) -> Result<(), String> {
        let wanted: HashSet<&str> = resources.iter().map(|component| component.metadata.name.as_str()).collect();
        let gone: Vec<String> = self.loaded.keys().filter(|name| !wanted.contains(name.as_str())).cloned().collect();
        for name in gone {
            self.remove(&name);
            if let Some(held) = self.loaded.remove(&name) {
                tokio::spawn(close_when_free(held, grace));
            }
        }
        self.parked.clear();
        let mut changed = Vec::new();
        for component in resources {
            let is_same = self.loaded.get(&component.metadata.name).is_some_and(|held| held.resource == component);
            if !is_same {
                changed.push(component);
            }
        }
        let mut replaced = Vec::new();
        for component in &changed {
            if let Some(held) = self.loaded.remove(&component.metadata.name) {
                tracing::info!(target: "dapr.runtime.hotreload", "Closing existing Component to reload: {}", component.log_name());
                replaced.push(held);
            }
        }
        let outcome = self.load_all(changed).await;
        for held in replaced {
            if !self.loaded.contains_key(&held.resource.metadata.name) {
                self.remove(&held.resource.metadata.name);
            }
            tokio::spawn(close_when_free(held, grace));
        }
        outcome
    }

    fn remove(&self, name: &str) {
        self.shared.loaded.update(|components| {
            components.state.remove(name);
            components.pubsub.remove(name);
            components.secrets.remove(name);
            components.bindings.remove(name);
            components.crypto.remove(name);
            components.conversation.remove(name);
            components.infos.retain(|info| info.name != name);
        });
    }

    /// Closes every component, all at once.
    pub async fn close_all(&mut self) {
        let held = std::mem::take(&mut self.loaded);
        let names: Vec<String> = held.keys().cloned().collect();
        for name in &names {
            self.remove(name);
        }
        futures::future::join_all(held.into_values().map(|mut held| async move {
            if let Some(built) = held.built.take() {
                tracing::info!(target: "dapr.runtime", "Shutting down component {}", held.resource.log_name());
                close(built).await;
            }
        }))
        .await;
    }
}

fn init_failure(component: &Component, error: &str) -> String {
    format!("[INIT_COMPONENT_FAILURE]: initialization error occurred for {}: {error}", component.log_name())
}

/// daprd's words for a type that the build does not have.
fn unknown_type(component: &Component) -> String {
    let what = match component.block() {
        "state" => "state store",
        "pubsub" => "message bus",
        "secretstores" => "secret store",
        "bindings" => "binding",
        "configuration" => "configuration store",
        "lock" => "lock store",
        "crypto" => "crypto provider",
        other => other,
    };
    let (kind, version) = (&component.spec.kind, &component.spec.version);
    let version = if version.is_empty() { "v1" } else { version };
    format!(
        "[CREATE_COMPONENT_FAILURE]: initialization error occurred for {}: couldn't find {what} {kind}/{version}",
        component.log_name()
    )
}

/// The keys of a store that encrypts: from secrets only, never from plain text.
fn encryption(component: &Component, properties: &Properties) -> Result<Option<Encryption>, String> {
    let key = |name: &str| {
        let property = component.spec.metadata.iter().find(|property| property.name.eq_ignore_ascii_case(name))?;
        let secret = &property.secret_key_ref;
        let value = properties.get(&[name]).filter(|value| !value.is_empty() && !secret.name.is_empty())?;
        Some((secret.name.clone(), value.to_owned()))
    };
    let Some((name, value)) = key("primaryEncryptionKey") else { return Ok(None) };
    let secondary = key("secondaryEncryptionKey");
    let secondary = secondary.as_ref().map(|(name, value)| (name.as_str(), value.as_str()));
    Encryption::new((&name, &value), secondary).map(Some).map_err(|error| init_failure(component, error.message()))
}

/// Fetches secrets by name from `store`; `None` while that is not loaded. Also for endpoints.
pub async fn fetch_secrets(
    shared: &Shared,
    store: &str,
    names: &[String],
    resource: &str,
    kind: &str,
) -> Result<Option<Secrets>, String> {
    let mut secrets = Secrets::new();
    if names.is_empty() || store.is_empty() {
        return Ok(Some(secrets));
    }
    let found: Option<Lease<Arc<dyn SecretStore>>> = shared.loaded.current().secrets.get(store).cloned();
    let Some(found) = found else {
        tracing::warn!(
            target: "dapr.runtime.processor.secret",
            "{kind} {resource} references a secret store that isn't loaded: {store}"
        );
        return Ok(None);
    };
    let metadata = Metadata::from([("namespace".to_owned(), shared.namespace.to_string())]);
    for name in names {
        match found.get(name, &metadata).await {
            Ok(secret) => {
                secrets.insert(name.clone(), secret);
            }
            Err(error) => {
                tracing::error!(target: "dapr.runtime.processor.secret", "Error getting secret: {error}");
            }
        }
    }
    Ok(Some(secrets))
}

/// The types whose guests daprd's `spec.wasm` is about.
fn is_wasm(kind: &str) -> bool {
    ["bindings.wasm", "middleware.http.wasm"].iter().any(|name| name.eq_ignore_ascii_case(kind))
}

async fn close_when_free(mut held: Held, grace: Duration) {
    if let Some(retired) = &mut held.retired
        && tokio::time::timeout(grace, retired.drained()).await.is_err()
    {
        tracing::warn!(
            target: SCOPE,
            "Closing component {} although calls still use it: the grace time is over", held.resource.log_name()
        );
    }
    if let Some(built) = held.built {
        close(built).await;
    }
}

async fn close(built: Built) {
    match built {
        Built::State(store) => store.close().await,
        Built::PubSub(broker) => broker.close().await,
        Built::SecretStore(store) => store.close().await,
        Built::Binding { input, output } => {
            if let Some(input) = input {
                input.close().await;
            }
            if let Some(output) = output {
                output.close().await;
            }
        }
        Built::NameResolution(resolver) => resolver.close().await,
        Built::Crypto(provider) => provider.close().await,
        Built::Conversation(provider) => provider.close().await,
    }
}
