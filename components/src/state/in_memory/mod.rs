//! `state.in-memory`: the reference implementation, read it first.
//!
//! Values live in the process and end with it. Every feature but queries is here, with the texts of daprd 1.18.

mod store;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;

use super::like::Pattern;
use super::{
    BulkGetItem, DeleteRequest, Features, GetReply, GetRequest, KeysPage, Op, SetRequest, StateStore, prefix_of_keys,
};
use crate::component::{Built, InitContext, Spec};
use crate::task::Task;
use crate::{Error, Metadata, Result};
use store::{Items, requested_ttl};

/// It has no options.
pub const PROPERTIES: &[&str] = &[];

/// How often ended values are thrown away; they are invisible before.
const PURGE_EVERY: Duration = Duration::from_secs(1);

/// Builds the store; nothing can fail.
pub async fn build(_spec: Spec, _context: InitContext) -> Result<Built> {
    Ok(Built::State(Arc::new(InMemory::new())))
}

/// The store.
pub struct InMemory {
    items: Arc<RwLock<Items>>,
    purge: Task,
}

impl InMemory {
    /// An empty store. Must be called inside a tokio runtime.
    pub fn new() -> Self {
        let items = Arc::new(RwLock::new(Items::default()));
        let shared = items.clone();
        let purge = Task::spawn(|token| async move {
            let mut ticks = tokio::time::interval(PURGE_EVERY);
            loop {
                tokio::select! {
                    () = token.cancelled() => return,
                    _ = ticks.tick() => write(&shared).purge(Utc::now()),
                }
            }
        });
        Self { items, purge }
    }
}

impl Default for InMemory {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl StateStore for InMemory {
    fn features(&self) -> Features {
        Features {
            etag: true,
            transactional: true,
            ttl: true,
            delete_with_prefix: true,
            keys_like: true,
            ..Features::default()
        }
    }

    async fn get(&self, request: &GetRequest) -> Result<GetReply> {
        Ok(read(&self.items).get(&request.key, Utc::now()))
    }

    async fn set(&self, request: &SetRequest) -> Result<()> {
        request.options.check()?;
        let ttl = requested_ttl(&request.metadata)?;
        write(&self.items).set(request, ttl, Utc::now())
    }

    async fn delete(&self, request: &DeleteRequest) -> Result<()> {
        request.options.check()?;
        write(&self.items).delete(request, Utc::now())
    }

    async fn bulk_get(&self, requests: &[GetRequest]) -> Option<Result<Vec<BulkGetItem>>> {
        let items = read(&self.items);
        let now = Utc::now();
        let get =
            |request: &GetRequest| BulkGetItem { key: request.key.clone(), result: Ok(items.get(&request.key, now)) };
        Some(Ok(requests.iter().map(get).collect()))
    }

    async fn transact(&self, operations: &[Op], _metadata: &Metadata) -> Result<()> {
        let mut checked = Vec::with_capacity(operations.len());
        for operation in operations {
            let ttl = match operation {
                Op::Upsert(set) => {
                    set.options.check()?;
                    requested_ttl(&set.metadata)?
                }
                // daprd does not look at the options of a delete inside a transaction.
                Op::Delete(_) => None,
            };
            checked.push((operation, ttl));
        }
        write(&self.items).transact(&checked, Utc::now())
    }

    async fn keys_like(&self, pattern: &str, page_size: usize, continuation: Option<&str>) -> Result<KeysPage> {
        let pattern = Pattern::parse(pattern)?;
        let from = match continuation {
            Some(token) => token.parse().map_err(|error| Error::other(format!("invalid continue token: {error}")))?,
            None => 0,
        };
        Ok(read(&self.items).keys_like(&pattern, page_size, from, Utc::now()))
    }

    async fn delete_with_prefix(&self, prefix: &str) -> Result<u64> {
        let prefix = prefix_of_keys(prefix)?;
        Ok(write(&self.items).delete_with_prefix(&prefix, Utc::now()))
    }

    async fn close(&self) {
        self.purge.stop().await;
        write(&self.items).clear();
    }
}

// Each change of `Items` is complete when a panic could happen, so a poisoned lock is as good as any.
fn read(items: &RwLock<Items>) -> RwLockReadGuard<'_, Items> {
    items.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(items: &RwLock<Items>) -> RwLockWriteGuard<'_, Items> {
    items.write().unwrap_or_else(PoisonError::into_inner)
}
