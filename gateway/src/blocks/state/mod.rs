//! State: an application's keys and values in a store (as daprd 1.18, state API).

use components::state::{DeleteRequest, GetReply, GetRequest, Op, QueryRequest, SetRequest, Value};
use components::{Error, ErrorKind};

use super::{Attempt, Shared};
use crate::error::{ApiError, nested, table};
use crate::loaded::{self, Lease, LoadedState};
use crate::operation::{CallContext, Handle};
use crate::resiliency::ComponentType;

mod bulk;
mod operations;

pub use operations::*;

/// Answers the state operations.
#[derive(Clone)]
pub struct StateBlock {
    shared: Shared,
}

impl StateBlock {
    pub fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// The store called `name`. Fronts that read a body ask before they read it, as daprd does.
    pub fn require(&self, name: &str) -> Result<Lease<LoadedState>, ApiError> {
        self.find(name, Some(&self.shared.app_id))
    }

    fn find(&self, name: &str, app_id: Option<&str>) -> Result<Lease<LoadedState>, ApiError> {
        let components = self.shared.loaded.current();
        if components.state.is_empty() {
            return Err(table::state::not_configured(name, app_id));
        }
        components.state.get(name).cloned().ok_or_else(|| table::state::not_found(name, app_id))
    }

    /// Like [`StateBlock::require`] for a transaction: the store must know them.
    pub fn require_transactional(&self, name: &str) -> Result<Lease<LoadedState>, ApiError> {
        let store = self.require(name)?;
        if store.store.features().transactional {
            Ok(store)
        } else {
            Err(table::state::transactions_not_supported(name))
        }
    }

    fn attempt<'a>(&'a self, store: &'a str, operation: &'static str) -> Attempt<'a> {
        Attempt::outbound(&self.shared, ComponentType::Statestore, store, operation)
    }

    fn set_request(&self, name: &str, store: &LoadedState, item: SaveItem) -> Result<SetRequest, ApiError> {
        let key = store.prefix.stored(name, &item.key)?;
        let value = match &store.encryption {
            None => item.value,
            Some(encryption) => {
                let plain = item.sent.unwrap_or_else(|| plain_text(&item.value));
                let sealed = encryption.encrypt(&plain).map_err(|error| table::state::save(name, &error))?;
                Value::Bytes(sealed)
            }
        };
        Ok(SetRequest { key, value, etag: item.etag, options: item.options, metadata: item.metadata })
    }

    fn delete_request(name: &str, store: &LoadedState, item: DeleteItem) -> Result<DeleteRequest, ApiError> {
        let key = store.prefix.stored(name, &item.key)?;
        Ok(DeleteRequest { key, etag: item.etag, options: item.options, metadata: item.metadata })
    }
}

/// What is encrypted of a value: a JSON string without its quotes, as daprd writes it; any other JSON as it is (daprd
/// writes Go's debugging text, which no reader can use).
fn plain_text(value: &Value) -> bytes::Bytes {
    if let Value::Json(text) = value
        && text.first() == Some(&b'"')
        && let Ok(string) = serde_json::from_slice::<String>(text)
    {
        return string.into();
    }
    value.bytes().clone()
}

/// A stored value as the caller may see it.
fn opened(name: &str, store: &LoadedState, reply: GetReply) -> Result<StateItem, Error> {
    let data = match (&store.encryption, reply.data) {
        (Some(encryption), Some(data)) => Some(encryption.decrypt(name, &data)?),
        (_, data) => data,
    };
    Ok(StateItem { data, etag: reply.etag, metadata: reply.metadata })
}

impl Handle<GetState> for StateBlock {
    async fn handle(&self, _context: &CallContext, operation: GetState) -> Result<StateItem, ApiError> {
        let GetState { store: name, key, consistency, metadata } = operation;
        let store = self.require(&name)?;
        let request = GetRequest { key: store.prefix.stored(&name, &key)?, consistency, metadata };
        let reply = self
            .attempt(&name, "get")
            .run(|| store.store.get(&request))
            .await
            .and_then(|reply| opened(&name, &store, reply));
        reply.map_err(|error| table::state::get(&name, &key, &error))
    }
}

impl Handle<GetBulkState> for StateBlock {
    async fn handle(&self, _context: &CallContext, operation: GetBulkState) -> Result<Vec<BulkStateItem>, ApiError> {
        let GetBulkState { store: name, keys, parallelism, metadata } = operation;
        let store = self.require(&name)?;
        let requests = keys
            .iter()
            .map(|key| {
                let key = store.prefix.stored(&name, key)?;
                Ok(GetRequest { key, metadata: metadata.clone(), ..GetRequest::default() })
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let items = self
            .attempt(&name, "bulk_get")
            .run(|| bulk::get(store.store.as_ref(), &requests, parallelism))
            .await
            .map_err(|error| table::state::bulk_get(&error))?;
        Ok(items
            .into_iter()
            .map(|item| BulkStateItem {
                key: loaded::original_key(&item.key).to_owned(),
                result: item.result.and_then(|reply| opened(&name, &store, reply)).map_err(|error| nested(&error)),
            })
            .collect())
    }
}

impl Handle<SaveState> for StateBlock {
    async fn handle(&self, _context: &CallContext, operation: SaveState) -> Result<(), ApiError> {
        let SaveState { store: name, items } = operation;
        let store = self.require(&name)?;
        let requests =
            items.into_iter().map(|item| self.set_request(&name, &store, item)).collect::<Result<Vec<_>, _>>()?;
        if requests.is_empty() {
            return Ok(());
        }
        let pending = bulk::Pending::new(requests);
        self.attempt(&name, "set")
            .run(|| bulk::set(store.store.as_ref(), &pending))
            .await
            .map_err(|error| table::state::save(&name, &error))
    }
}

impl Handle<DeleteState> for StateBlock {
    async fn handle(&self, _context: &CallContext, operation: DeleteState) -> Result<(), ApiError> {
        let DeleteState { store: name, item } = operation;
        let store = self.require(&name)?;
        let key = item.key.clone();
        let request = Self::delete_request(&name, &store, item)?;
        self.attempt(&name, "delete")
            .run(|| store.store.delete(&request))
            .await
            .map_err(|error| table::state::delete(&key, &error))
    }
}

impl Handle<DeleteBulkState> for StateBlock {
    async fn handle(&self, _context: &CallContext, operation: DeleteBulkState) -> Result<(), ApiError> {
        let DeleteBulkState { store: name, items } = operation;
        let store = self.require(&name)?;
        let requests =
            items.into_iter().map(|item| Self::delete_request(&name, &store, item)).collect::<Result<Vec<_>, _>>()?;
        let pending = bulk::Pending::new(requests);
        self.attempt(&name, "bulk_delete")
            .run(|| bulk::delete(store.store.as_ref(), &pending))
            .await
            .map_err(|error| table::state::bulk_delete(&name, &error))
    }
}

impl Handle<ExecuteStateTransaction> for StateBlock {
    async fn handle(&self, _context: &CallContext, operation: ExecuteStateTransaction) -> Result<(), ApiError> {
        let ExecuteStateTransaction { store: name, operations, metadata } = operation;
        let store = self.require_transactional(&name)?;
        let operations = operations
            .into_iter()
            .map(|operation| match operation {
                TransactionOp::Upsert(item) => self.set_request(&name, &store, item).map(Op::Upsert),
                TransactionOp::Delete(item) => Self::delete_request(&name, &store, item).map(Op::Delete),
                TransactionOp::Unknown(word) => Err(table::state::operation_not_supported(&word)),
            })
            .collect::<Result<Vec<_>, _>>()?;
        if operations.is_empty() {
            return Ok(());
        }
        if let Some(most) = store.store.transaction_limit().await
            && most > 0
            && operations.len() > most
        {
            return Err(table::state::too_many_operations(&name, operations.len(), most));
        }
        self.attempt(&name, "transaction")
            .run(|| store.store.transact(&operations, &metadata))
            .await
            .map_err(|error| table::state::transaction(&error))
    }
}

impl Handle<QueryState> for StateBlock {
    async fn handle(
        &self,
        _context: &CallContext,
        operation: QueryState,
    ) -> Result<components::state::QueryReply, ApiError> {
        let QueryState { store: name, query, metadata } = operation;
        // daprd names no app id in the errors of this one call.
        let store = self.find(&name, None)?;
        if !store.store.may_query() || store.encryption.is_some() {
            return Err(table::state::query_unsupported(&name));
        }
        let query = serde_json::from_slice(&query)
            .map_err(|error| Error::new(ErrorKind::Invalid, format!("failed to parse JSON query body: {error}")))
            .map_err(|error| table::state::query_failed(&name, &error))?;
        let request = QueryRequest { query, metadata };
        let mut reply = self
            .attempt(&name, "query")
            .run(|| store.store.query(&request))
            .await
            .map_err(|error| table::state::query_failed(&name, &error))?;
        for item in &mut reply.results {
            item.key = loaded::original_key(&item.key).to_owned();
        }
        Ok(reply)
    }
}
