//! Several keys at once: natively where the store can, else one by one in parallel, with retries of what failed only.

use std::future::Future;
use std::sync::Mutex;

use components::state::{BulkError, BulkFailure, BulkGetItem, DeleteRequest, GetRequest, SetRequest, StateStore};
use components::{Error, ErrorKind, Result};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};

/// Reads all keys, in the order asked for unless the store has its own.
pub async fn get(store: &dyn StateStore, requests: &[GetRequest], parallelism: i64) -> Result<Vec<BulkGetItem>> {
    if let Some(native) = store.bulk_get(requests).await {
        return native;
    }
    let width = usize::try_from(parallelism).ok().filter(|width| *width > 0).unwrap_or(requests.len().max(1));
    // Boxed: a closure over references is not general enough for the compiler inside a spawned future.
    let reads: Vec<BoxFuture<'_, BulkGetItem>> =
        requests.iter().map(|request| get_one(store, request).boxed()).collect();
    Ok(futures::stream::iter(reads).buffered(width).collect().await)
}

async fn get_one(store: &dyn StateStore, request: &GetRequest) -> BulkGetItem {
    BulkGetItem { key: request.key.clone(), result: store.get(request).await }
}

/// The writes that are still to be done: a retry sends those again that failed, except for their ETag.
pub struct Pending<R>(Mutex<Vec<R>>);

impl<R: Clone + Keyed> Pending<R> {
    pub fn new(requests: Vec<R>) -> Self {
        Self(Mutex::new(requests))
    }

    fn now(&self) -> Vec<R> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn keep(&self, failures: &[BulkFailure]) {
        let again =
            |request: &R| failures.iter().any(|failure| failure.key == request.key() && !failure.error.is_etag());
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).retain(again);
    }
}

/// A write of one key.
pub trait Keyed {
    fn key(&self) -> &str;
}

impl Keyed for SetRequest {
    fn key(&self) -> &str {
        &self.key
    }
}

impl Keyed for DeleteRequest {
    fn key(&self) -> &str {
        &self.key
    }
}

pub async fn set(store: &dyn StateStore, pending: &Pending<SetRequest>) -> Result<()> {
    let requests = pending.now();
    if let [only] = requests.as_slice() {
        return store.set(only).await;
    }
    let outcome = match store.bulk_set(&requests).await {
        Some(native) => native,
        None => one_by_one(&requests, |request| store.set(request)).await,
    };
    settle(outcome, pending)
}

pub async fn delete(store: &dyn StateStore, pending: &Pending<DeleteRequest>) -> Result<()> {
    let requests = pending.now();
    if let [only] = requests.as_slice() {
        return store.delete(only).await;
    }
    let outcome = match store.bulk_delete(&requests).await {
        Some(native) => native,
        None => one_by_one(&requests, |request| store.delete(request)).await,
    };
    settle(outcome, pending)
}

async fn one_by_one<'a, R, F, Fut>(requests: &'a [R], write: F) -> Result<(), BulkError>
where
    R: Keyed,
    F: Fn(&'a R) -> Fut,
    Fut: Future<Output = Result<()>>,
{
    let writes = requests.iter().map(|request| {
        let write = write(request);
        async move { write.await.map_err(|error| BulkFailure { key: request.key().to_owned(), error }) }
    });
    let failures: Vec<BulkFailure> =
        futures::future::join_all(writes).await.into_iter().filter_map(Result::err).collect();
    if failures.is_empty() { Ok(()) } else { Err(BulkError::Items(failures)) }
}

/// One error for several: all of them about ETags makes an ETag error (invalid if any is), as daprd 1.18 decides.
fn settle<R: Clone + Keyed>(outcome: Result<(), BulkError>, pending: &Pending<R>) -> Result<()> {
    let failures = match outcome {
        Ok(()) => return Ok(()),
        Err(BulkError::Whole(error)) => return Err(error),
        Err(BulkError::Items(failures)) => failures,
    };
    let text = failures.iter().map(|failure| failure.error.message()).collect::<Vec<_>>().join("\n");
    if failures.iter().all(|failure| failure.error.is_etag()) {
        let invalid = failures.iter().any(|failure| *failure.error.kind() == ErrorKind::EtagInvalid);
        return Err(if invalid { Error::etag_invalid(Some(&text)) } else { Error::etag_mismatch(Some(&text)) });
    }
    pending.keep(&failures);
    let kind = failures.iter().find(|failure| !failure.error.is_etag()).map(|failure| failure.error.kind().clone());
    Err(Error::new(kind.unwrap_or(ErrorKind::Other), text))
}
