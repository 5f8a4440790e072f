//! The list of implementations: one line each.

use crate::registry::Registry;
use crate::{bindings, conversation, crypto, nameresolution, pubsub, secretstores, state};

/// Registers every implementation of this build.
pub fn register(registry: &mut Registry) {
    registry.add("bindings.cron", "v1", bindings::cron::PROPERTIES, bindings::cron::build);
    registry.add("bindings.localstorage", "v1", bindings::localstorage::PROPERTIES, bindings::localstorage::build);
    registry.add("conversation.echo", "v1", conversation::echo::PROPERTIES, conversation::echo::build);
    registry.add("crypto.dapr.localstorage", "v1", crypto::localstorage::PROPERTIES, crypto::localstorage::build);
    registry.add("nameresolution.mdns", "v1", nameresolution::default::PROPERTIES, nameresolution::default::build);
    #[cfg(feature = "sqlite")]
    registry.add("nameresolution.sqlite", "v1", nameresolution::sqlite::PROPERTIES, nameresolution::sqlite::build);
    registry.add("pubsub.in-memory", "v1", pubsub::in_memory::PROPERTIES, pubsub::in_memory::build);
    #[cfg(feature = "sqlite")]
    registry.add("pubsub.sqlite", "v1", pubsub::sqlite::PROPERTIES, pubsub::sqlite::build);
    registry.add("secretstores.local.env", "v1", secretstores::local::env::PROPERTIES, secretstores::local::env::build);
    registry.add(
        "secretstores.local.file",
        "v1",
        secretstores::local::file::PROPERTIES,
        secretstores::local::file::build,
    );
    #[cfg(feature = "etcd")]
    registry.add("state.etcd", "v1", state::etcd::PROPERTIES, state::etcd::build_v1);
    #[cfg(feature = "etcd")]
    registry.add("state.etcd", "v2", state::etcd::PROPERTIES, state::etcd::build_v2);
    registry.add("state.in-memory", "v1", state::in_memory::PROPERTIES, state::in_memory::build);
    #[cfg(feature = "redis")]
    registry.add("pubsub.redis", "v1", pubsub::redis::PROPERTIES, pubsub::redis::build);
    #[cfg(feature = "redis")]
    registry.add("state.redis", "v1", state::redis::PROPERTIES, state::redis::build);
    #[cfg(feature = "sqlite")]
    for name in ["state.sqlite", "state.sqlite3"] {
        registry.add(name, "v1", state::sqlite::PROPERTIES, state::sqlite::build);
    }
}
