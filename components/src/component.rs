//! What a component is made from, and what comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::bindings::{InputBinding, OutputBinding};
use crate::conversation::Conversation;
use crate::crypto::SubtleCrypto;
use crate::metadata::Properties;
use crate::nameresolution::Resolver;
use crate::pubsub::PubSub;
use crate::secretstores::SecretStore;
use crate::state::StateStore;

/// A component as configured: `spec.type` is `<kind>.<name>`, properties are resolved (secrets, env, templates).
#[derive(Debug, Clone)]
pub struct Spec {
    /// `metadata.name` of the resource.
    pub name: String,
    /// For example `state.redis`; matched without regard to case behind the first dot.
    pub kind_and_name: String,
    /// `v1`, `v2`; empty and `v0` mean `v1` unless the component has others.
    pub version: String,
    pub properties: Properties,
}

/// What the sidecar tells every component at build time.
#[derive(Debug, Clone)]
pub struct InitContext {
    pub app_id: String,
    /// Namespace of the application, `default` when none was given.
    pub namespace: String,
    /// The sidecar's own addresses, for name resolution.
    pub instance: Instance,
    /// The time `build` may take (`spec.initTimeout`, 5 s by default).
    pub init_timeout: Duration,
}

/// Where this sidecar can be reached.
#[derive(Debug, Clone, Default)]
pub struct Instance {
    /// Host address that peers dial.
    pub address: String,
    pub http_port: u16,
    pub internal_port: u16,
    /// A socket that is the same to peers on this host as the internal port.
    pub internal_socket: Option<PathBuf>,
    pub app_port: u16,
    /// Further facts by name, such as `DAPR_HTTP_PORT`.
    pub extra: BTreeMap<String, String>,
}

/// A built component of any kind.
#[derive(Clone)]
pub enum Built {
    State(Arc<dyn StateStore>),
    PubSub(Arc<dyn PubSub>),
    SecretStore(Arc<dyn SecretStore>),
    /// One socket or server may serve both directions.
    Binding {
        input: Option<Arc<dyn InputBinding>>,
        output: Option<Arc<dyn OutputBinding>>,
    },
    NameResolution(Arc<dyn Resolver>),
    Crypto(Arc<dyn SubtleCrypto>),
    Conversation(Arc<dyn Conversation>),
}
