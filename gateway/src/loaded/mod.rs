//! The loaded components by name, swapped whole when resources change.
//!
//! A block takes a [`Lease`] for the time of a call. A replaced component gets no new leases; when the last one is
//! dropped, [`Retired::drained`] returns and the task that reloads closes it.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use components::Built;
use components::bindings::{InputBinding, OutputBinding};
use components::conversation::Conversation;
use components::crypto::SubtleCrypto;
use components::pubsub::PubSub;
use components::secretstores::SecretStore;
use components::state::StateStore;
use tokio::sync::mpsc;

mod encryption;
mod key_prefix;
mod scopes;

pub use encryption::Encryption;
pub use key_prefix::{KeyPrefix, original_key};
pub use scopes::Scopes;

/// What the metadata API says about a component.
#[derive(Debug, Clone)]
pub struct ComponentInfo {
    pub name: String,
    /// `state.redis`
    pub kind_and_name: String,
    pub version: String,
    pub capabilities: Vec<String>,
}

/// A state store and what the sidecar adds to it.
pub struct LoadedState {
    pub store: Arc<dyn StateStore>,
    pub prefix: KeyPrefix,
    pub encryption: Option<Encryption>,
    /// Outbox settings as configured, for the transaction that publishes.
    pub properties: components::metadata::Properties,
}

/// A broker and who may use which of its topics.
pub struct LoadedPubSub {
    pub broker: Arc<dyn PubSub>,
    pub scopes: Scopes,
    /// Set when a property holds `{namespace}`: topics are prefixed with it on the wire.
    pub namespace_prefix: Option<String>,
    pub consumer_id: String,
}

pub struct LoadedBinding {
    pub input: Option<Arc<dyn InputBinding>>,
    pub output: Option<Arc<dyn OutputBinding>>,
    /// Where events go in the application: `route`, or the component's name.
    pub route: String,
    /// `direction`, lower-cased and split; empty when not given.
    pub directions: Vec<String>,
}

/// Where a subscription comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscriptionSource {
    Declarative,
    Programmatic,
    Streaming,
}

impl SubscriptionSource {
    /// As the metadata API spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Declarative => "DECLARATIVE",
            Self::Programmatic => "PROGRAMMATIC",
            Self::Streaming => "STREAMING",
        }
    }
}

/// What the metadata API says about a subscription.
#[derive(Debug, Clone)]
pub struct SubscriptionInfo {
    pub pubsub: String,
    pub topic: String,
    pub metadata: BTreeMap<String, String>,
    /// Condition (empty for the default) and path.
    pub rules: Vec<(String, String)>,
    pub dead_letter_topic: String,
    pub source: SubscriptionSource,
}

/// One component in use. Cloning takes a lease.
pub struct Lease<T>(Arc<Held<T>>);

struct Held<T> {
    value: T,
    /// Its receiver learns when the last lease is gone.
    _alive: mpsc::Sender<()>,
}

impl<T> Clone for Lease<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// Waits until nobody uses a component any more.
pub struct Retired(mpsc::Receiver<()>);

impl Retired {
    /// Returns when the last lease was dropped.
    pub async fn drained(&mut self) {
        while self.0.recv().await.is_some() {}
    }
}

impl<T> Lease<T> {
    pub fn new(value: T) -> (Self, Retired) {
        let (alive, receiver) = mpsc::channel(1);
        (Self(Arc::new(Held { value, _alive: alive })), Retired(receiver))
    }
}

/// All components, by kind and name. Each component that is loaded copies them all, so that whatever can is shared.
#[derive(Clone, Default)]
pub struct Components {
    pub state: BTreeMap<Arc<str>, Lease<LoadedState>>,
    pub pubsub: BTreeMap<Arc<str>, Lease<LoadedPubSub>>,
    pub secrets: BTreeMap<Arc<str>, Lease<Arc<dyn SecretStore>>>,
    pub bindings: BTreeMap<Arc<str>, Lease<LoadedBinding>>,
    pub crypto: BTreeMap<Arc<str>, Lease<Arc<dyn SubtleCrypto>>>,
    pub conversation: BTreeMap<Arc<str>, Lease<Arc<dyn Conversation>>>,
    /// In the order of loading, secret stores first.
    pub infos: Vec<Arc<ComponentInfo>>,
    pub subscriptions: Vec<SubscriptionInfo>,
    /// Names of the HTTPEndpoint resources.
    pub http_endpoints: Vec<String>,
    /// Names of the Resiliency resources.
    pub resiliencies: Vec<String>,
}

/// The current [`Components`].
#[derive(Clone, Default)]
pub struct Loaded(Arc<ArcSwap<Components>>);

impl Loaded {
    pub fn current(&self) -> Guard<Arc<Components>> {
        self.0.load()
    }

    /// Applies `change` to a copy and swaps it in. Callers serialise themselves (one task loads and reloads).
    pub fn update(&self, change: impl Fn(&mut Components)) {
        self.0.rcu(|current| {
            let mut next = Components::clone(current);
            change(&mut next);
            next
        });
    }
}

/// How the metadata API describes a built component's abilities (as daprd 1.18, `GET /v1.0/metadata`).
pub fn capabilities(built: &Built) -> Vec<String> {
    match built {
        Built::State(store) => {
            let features = store.features();
            let mut names: Vec<String> = features.names().into_iter().map(str::to_owned).collect();
            if features.etag && features.transactional {
                names.push("ACTOR".to_owned());
            }
            names
        }
        Built::PubSub(broker) => {
            let features = broker.features();
            [
                (features.message_ttl, "MESSAGE_TTL"),
                (features.wildcards, "SUBSCRIBE_WILDCARDS"),
                (features.bulk_publish, "BULK_PUBSUB"),
            ]
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| name.to_owned())
            .collect()
        }
        Built::SecretStore(store) => store
            .features()
            .multiple_key_values_per_secret
            .then(|| "MULTIPLE_KEY_VALUES_PER_SECRET".to_owned())
            .into_iter()
            .collect(),
        Built::Binding { input, output } => [(input.is_some(), "INPUT_BINDING"), (output.is_some(), "OUTPUT_BINDING")]
            .into_iter()
            .filter(|(has, _)| *has)
            .map(|(_, name)| name.to_owned())
            .collect(),
        Built::NameResolution(_) | Built::Crypto(_) | Built::Conversation(_) => Vec::new(),
    }
}
