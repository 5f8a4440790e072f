//! `wasi:keyvalue/atomics`: compare and swap, over the ETags of the state store.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::bindings::imports::wasi::keyvalue::atomics;
use super::keyvalue::{Bucket, Error, create, failed, set};
use super::link::Link;
use super::state::State;
use crate::sidecar::{CallError, StateItem};

/// How often an increment begins anew when others change the same key.
const TRIES: u32 = 50;

/// A key as it was when a guest read it.
pub struct Cas {
    store: Arc<str>,
    key: String,
    item: Option<StateItem>,
}

impl atomics::Host for State {
    async fn increment(
        &mut self,
        bucket: Resource<Bucket>,
        key: String,
        delta: i64,
    ) -> wasmtime::Result<Result<i64, Error>> {
        let store = self.opened(&bucket)?;
        Ok(increment(self.link(), &store, &key, delta).await)
    }

    async fn swap(&mut self, cas: Resource<Cas>, value: Vec<u8>) -> wasmtime::Result<Result<(), atomics::CasError>> {
        let Cas { store, key, item } = self.table.delete(cas)?;
        let error = match swap(self.link(), &store, &key, item, value).await {
            Ok(()) => return Ok(Ok(())),
            Err(CallError::Conflict(_)) => match self.link().read(&store, &key).await {
                Ok(item) => {
                    let newer = self.table.push(Cas { store, key, item })?;
                    return Ok(Err(atomics::CasError::CasFailed(newer)));
                }
                Err(error) => error,
            },
            Err(error) => error,
        };
        Ok(Err(atomics::CasError::StoreError(failed(self.link(), error))))
    }
}

impl atomics::HostCas for State {
    async fn new(&mut self, bucket: Resource<Bucket>, key: String) -> wasmtime::Result<Result<Resource<Cas>, Error>> {
        let store = self.opened(&bucket)?;
        match self.link().read(&store, &key).await {
            Ok(item) => Ok(Ok(self.table.push(Cas { store, key, item })?)),
            Err(error) => Ok(Err(failed(self.link(), error))),
        }
    }

    async fn current(&mut self, cas: Resource<Cas>) -> wasmtime::Result<Result<Option<Vec<u8>>, Error>> {
        Ok(Ok(self.table.get(&cas)?.item.as_ref().map(|item| item.value.to_vec())))
    }

    async fn drop(&mut self, cas: Resource<Cas>) -> wasmtime::Result<()> {
        self.table.delete(cas)?;
        Ok(())
    }
}

async fn increment(link: &Link, store: &str, key: &str, delta: i64) -> Result<i64, Error> {
    for _ in 0..TRIES {
        let item = link.read(store, key).await.map_err(|error| failed(link, error))?;
        let number = item.as_ref().map_or(Some(0), |item| number(&item.value));
        let number =
            number.ok_or_else(|| Error::Other(format!("the value of '{key}' in '{store}' is no whole number")))?;
        let sum = number.checked_add(delta);
        let sum =
            sum.ok_or_else(|| Error::Other(format!("'{key}' in '{store}' would be past what 64 bits can hold")))?;
        match swap(link, store, key, item, sum.to_string().into_bytes()).await {
            Ok(()) => return Ok(sum),
            Err(CallError::Conflict(_)) => {}
            Err(error) => return Err(failed(link, error)),
        }
    }
    Err(Error::Other(format!("'{key}' in '{store}' was changed by others {TRIES} times in a row")))
}

/// Saves a value where nothing has changed since `item` was read.
///
/// # Errors
/// [`CallError::Conflict`]: something has.
async fn swap(link: &Link, store: &str, key: &str, item: Option<StateItem>, value: Vec<u8>) -> Result<(), CallError> {
    match item {
        Some(StateItem { etag: Some(etag), .. }) => {
            link.change(store, vec![set(key.to_owned(), value, Some(etag))]).await
        }
        Some(StateItem { etag: None, .. }) => {
            Err(CallError::Failed(format!("the state store '{store}' has no ETags: it cannot change a value safely")))
        }
        None => {
            let is_there = || CallError::Conflict(format!("'{key}' in '{store}' is there by now"));
            // Redis, as in daprd, creates over what was not created so: therefore it is looked at once more.
            if link.read(store, key).await?.is_some() {
                return Err(is_there());
            }
            let outcome = link.change(store, vec![create(key.to_owned(), value)]).await;
            match outcome {
                // Not every store says that this is why.
                Err(CallError::Failed(_)) if link.read(store, key).await?.is_some() => Err(is_there()),
                outcome => outcome,
            }
        }
    }
}

/// A number as text, also as a JSON text.
fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?.trim();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_texts() {
        assert_eq!(number(b"42"), Some(42));
        assert_eq!(number(b" -7\n"), Some(-7));
        assert_eq!(number(b"\"12\""), Some(12));
        for text in ["", "1.5", "x", "\"", "9223372036854775808"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
    }
}
