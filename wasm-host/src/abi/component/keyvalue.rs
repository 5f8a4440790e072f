//! `wasi:keyvalue/store` and `batch`: state stores of the sidecar.

use std::sync::Arc;

use bytes::Bytes;
use components::Metadata;
use futures::{StreamExt, TryStreamExt, stream};
use wasmtime::component::Resource;

use super::bindings::imports::wasi::keyvalue::{batch, store};
use super::link::Link;
use super::state::State;
use crate::sidecar::{CallError, StateChange, StateItem};

pub(super) use store::Error;

/// Keys of one batch that are read at the same time.
const AT_ONCE: usize = 16;

/// A state store that a guest has opened.
pub struct Bucket {
    pub(super) store: Arc<str>,
}

/// What a guest learns of a failure, which is written down.
pub(super) fn failed(link: &Link, error: CallError) -> Error {
    link.note(&error);
    match error {
        CallError::NotFound(_) => Error::NoSuchStore,
        // `access-denied` could not say what to add.
        other => Error::Other(other.to_string()),
    }
}

impl Link {
    pub(super) async fn read(&self, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        self.sidecar.get_state(&self.caller, store, key).await
    }

    pub(super) async fn change(&self, store: &str, changes: Vec<StateChange>) -> Result<(), CallError> {
        self.sidecar.change_state(&self.caller, store, changes, false).await
    }
}

pub(super) fn set(key: String, value: impl Into<Bytes>, etag: Option<String>) -> StateChange {
    StateChange::Set { key, value: value.into(), etag, metadata: Metadata::default() }
}

pub(super) fn create(key: String, value: impl Into<Bytes>) -> StateChange {
    StateChange::Create { key, value: value.into(), metadata: Metadata::default() }
}

fn delete(key: String) -> StateChange {
    StateChange::Delete { key, etag: None, metadata: Metadata::default() }
}

impl State {
    /// The name of an open store.
    ///
    /// # Errors
    /// The guest uses a handle that it does not have.
    pub(super) fn opened(&self, bucket: &Resource<Bucket>) -> wasmtime::Result<Arc<str>> {
        Ok(self.table.get(bucket)?.store.clone())
    }

    async fn get_item(
        &mut self,
        bucket: &Resource<Bucket>,
        key: &str,
    ) -> wasmtime::Result<Result<Option<StateItem>, Error>> {
        let store = self.opened(bucket)?;
        let link = self.link();
        Ok(link.read(&store, key).await.map_err(|error| failed(link, error)))
    }

    async fn change_items(
        &mut self,
        bucket: &Resource<Bucket>,
        changes: Vec<StateChange>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let store = self.opened(bucket)?;
        let link = self.link();
        Ok(link.change(&store, changes).await.map_err(|error| failed(link, error)))
    }
}

impl store::Host for State {
    /// Every name can be opened; the first use shows whether there is such a store and whether it is granted.
    async fn open(&mut self, identifier: String) -> wasmtime::Result<Result<Resource<Bucket>, Error>> {
        Ok(Ok(self.table.push(Bucket { store: identifier.into() })?))
    }
}

impl store::HostBucket for State {
    async fn get(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        let found = self.get_item(&bucket, &key).await?;
        Ok(found.map(|item| item.map(|item| item.value.into())))
    }

    async fn set(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.change_items(&bucket, vec![set(key, value, None)]).await
    }

    async fn delete(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<(), Error>> {
        self.change_items(&bucket, vec![delete(key)]).await
    }

    async fn exists(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.get_item(&bucket, &key).await?.map(|item| item.is_some()))
    }

    async fn list_keys(
        &mut self,
        bucket: Resource<Bucket>,
        _cursor: Option<String>,
    ) -> wasmtime::Result<Result<store::KeyResponse, Error>> {
        let store = self.opened(&bucket)?;
        Ok(Err(Error::Other(format!(
            "the state store '{store}' cannot list its keys: keep them under a key of their own"
        ))))
    }

    async fn drop(&mut self, bucket: Resource<Bucket>) -> wasmtime::Result<()> {
        self.table.delete(bucket)?;
        Ok(())
    }
}

impl batch::Host for State {
    async fn get_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<(String, Vec<u8>)>>, Error>> {
        let store = self.opened(&bucket)?;
        let (link, store) = (self.link(), &store);
        let reads = stream::iter(keys.into_iter().map(|key| async move {
            let item = link.read(store, &key).await?;
            Ok(item.map(|item| (key, item.value.into())))
        }));
        let found = reads.buffered(AT_ONCE).try_collect().await;
        Ok(found.map_err(|error| failed(link, error)))
    }

    async fn set_many(
        &mut self,
        bucket: Resource<Bucket>,
        pairs: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<(), Error>> {
        let changes = pairs.into_iter().map(|(key, value)| set(key, value, None)).collect();
        self.change_items(&bucket, changes).await
    }

    async fn delete_many(
        &mut self,
        bucket: Resource<Bucket>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.change_items(&bucket, keys.into_iter().map(delete).collect()).await
    }
}
