//! What every resource has: a name, a namespace, scopes.

use serde::{Deserialize, Serialize};

/// `metadata` of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Metadata {
    pub name: String,
    /// Empty when the document names none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
}

/// A kind of document that [`crate::config::load`] can find.
pub trait Resource: serde::de::DeserializeOwned {
    /// Compared exactly, as daprd 1.18 does.
    const API_VERSION: &'static str;
    const KIND: &'static str;

    fn metadata(&self) -> &Metadata;

    /// Application ids that may use the resource; empty means all.
    fn scopes(&self) -> &[String];

    /// How log lines and errors name it, such as `store (state.redis/v1)`.
    fn log_name(&self) -> String;

    fn name(&self) -> &str {
        &self.metadata().name
    }

    fn namespace(&self) -> &str {
        &self.metadata().namespace
    }

    /// Whether `app_id` is among the scopes, or there are none.
    fn is_scoped_to(&self, app_id: &str) -> bool {
        self.scopes().is_empty() || self.scopes().iter().any(|scope| scope == app_id)
    }
}

/// `auth` of a resource: where its secrets come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Auth {
    /// Name of a secret store component; empty for the mode's default.
    pub secret_store: String,
}

/// A reference into a secret store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct SecretKeyRef {
    pub name: String,
    /// The field of the secret; empty means the secret's own name.
    pub key: String,
}

impl SecretKeyRef {
    /// The field that is looked up.
    pub fn field(&self) -> &str {
        if self.key.is_empty() { &self.name } else { &self.key }
    }
}
