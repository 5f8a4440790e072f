//! Secrets: named values from a secret store, as far as the scopes allow (as daprd 1.18, secrets API).

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use components::Metadata;
use components::secretstores::{SecretData, SecretStore};

use super::{Attempt, Shared};
use crate::config::configuration::SecretScope;
use crate::error::{ApiError, table};
use crate::loaded::Lease;
use crate::operation::{CallContext, Handle, Operation};
use crate::resiliency::ComponentType;

pub struct GetSecret {
    pub store: String,
    pub key: String,
    pub metadata: Metadata,
}

impl Operation for GetSecret {
    type Reply = SecretData;
    type Block = SecretsBlock;
    const NAME: &'static str = "GetSecret";
}

pub struct GetBulkSecret {
    pub store: String,
    pub metadata: Metadata,
}

impl Operation for GetBulkSecret {
    type Reply = BTreeMap<String, SecretData>;
    type Block = SecretsBlock;
    const NAME: &'static str = "GetBulkSecret";
}

/// Who may read what, by store name.
pub type Scopes = BTreeMap<String, SecretScope>;

#[derive(Clone)]
pub struct SecretsBlock {
    shared: Shared,
    /// Replaced when the Configuration is read anew.
    scopes: Arc<ArcSwap<Scopes>>,
}

impl SecretsBlock {
    pub fn new(shared: Shared, scopes: Arc<ArcSwap<Scopes>>) -> Self {
        Self { shared, scopes }
    }

    fn store(&self, name: &str) -> Result<Lease<Arc<dyn SecretStore>>, ApiError> {
        let components = self.shared.loaded.current();
        if components.secrets.is_empty() {
            return Err(table::secrets::not_configured());
        }
        components.secrets.get(name).cloned().ok_or_else(|| table::secrets::not_found(name))
    }

    fn may_read(&self, store: &str, key: &str) -> bool {
        self.scopes.load().get(store).is_none_or(|scope| scope.allows(key))
    }
}

impl Handle<GetSecret> for SecretsBlock {
    async fn handle(&self, _context: &CallContext, operation: GetSecret) -> Result<SecretData, ApiError> {
        let GetSecret { store: name, key, metadata } = operation;
        let store = self.store(&name)?;
        if !self.may_read(&name, &key) {
            return Err(table::secrets::denied(&key, &name));
        }
        Attempt::outbound(&self.shared, ComponentType::Secretstore, &name, "get")
            .run(|| store.get(&key, &metadata))
            .await
            .map_err(|error| table::secrets::get(&key, &name, &error))
    }
}

impl Handle<GetBulkSecret> for SecretsBlock {
    async fn handle(
        &self,
        _context: &CallContext,
        operation: GetBulkSecret,
    ) -> Result<BTreeMap<String, SecretData>, ApiError> {
        let GetBulkSecret { store: name, metadata } = operation;
        let store = self.store(&name)?;
        let mut secrets = Attempt::outbound(&self.shared, ComponentType::Secretstore, &name, "bulk_get")
            .run(|| store.bulk_get(&metadata))
            .await
            .map_err(|error| table::secrets::bulk(&name, &error))?;
        secrets.retain(|key, _| self.may_read(&name, key));
        Ok(secrets)
    }
}
