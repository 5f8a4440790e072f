//! State stores: keys to values with ETags, as daprd 1.18's state API needs them.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Error, Metadata, Result};

#[cfg(feature = "etcd")]
pub mod etcd;
pub mod in_memory;
pub mod like;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod ttl;

/// A value on its way into a store.
///
/// daprd's stores keep bytes that came over gRPC apart from JSON that came over HTTP (SQL stores write the former as
/// base64), so the distinction travels with the value.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Stored as they are.
    Bytes(Bytes),
    /// A JSON document's text, compact.
    Json(Bytes),
}

impl Value {
    /// The bytes that a later `get` returns.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Bytes(bytes) | Self::Json(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = if matches!(self, Self::Bytes(_)) { "Bytes" } else { "Json" };
        write!(f, "{form}({} bytes)", self.bytes().len())
    }
}

/// Who wins when two writers meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Concurrency {
    #[default]
    Unspecified,
    FirstWrite,
    LastWrite,
    /// What the caller wrote instead; [`Options::check`] refuses it.
    Other(String),
}

/// How fresh a read, how safe a write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Consistency {
    #[default]
    Unspecified,
    Eventual,
    Strong,
    Other(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    pub concurrency: Concurrency,
    pub consistency: Consistency,
}

impl Options {
    /// Refuses words that are neither of the two known ones, with daprd's text.
    pub fn check(&self) -> Result<()> {
        if let Concurrency::Other(word) = &self.concurrency {
            return Err(Error::other(format!("unrecognized concurrency model '{word}'")));
        }
        if let Consistency::Other(word) = &self.consistency {
            return Err(Error::other(format!("unrecognized consistency model '{word}'")));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Default)]
pub struct GetRequest {
    pub key: String,
    pub consistency: Consistency,
    pub metadata: Metadata,
}

/// One value read. `data` is absent when the key is.
#[derive(Clone, Default)]
pub struct GetReply {
    pub data: Option<Bytes>,
    pub etag: Option<String>,
    /// For example `ttlExpireTime` (RFC 3339).
    pub metadata: Metadata,
    pub content_type: Option<String>,
}

#[derive(Debug, Clone)]
pub struct SetRequest {
    pub key: String,
    pub value: Value,
    /// Present but empty counts as none for the comparison.
    pub etag: Option<String>,
    pub options: Options,
    /// For example `ttlInSeconds`.
    pub metadata: Metadata,
}

impl SetRequest {
    /// The ETag to compare with, if there is one.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.is_empty())
    }
}

#[derive(Debug, Clone, Default)]
pub struct DeleteRequest {
    pub key: String,
    pub etag: Option<String>,
    pub options: Options,
    pub metadata: Metadata,
}

impl DeleteRequest {
    /// The ETag to compare with, if there is one.
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref().filter(|etag| !etag.is_empty())
    }
}

/// One operation of a transaction.
#[derive(Debug, Clone)]
pub enum Op {
    Upsert(SetRequest),
    Delete(DeleteRequest),
}

/// One result of a bulk read, in the order the store chose.
pub struct BulkGetItem {
    pub key: String,
    pub result: Result<GetReply>,
}

/// A failed item of a bulk write.
#[derive(Debug, Clone)]
pub struct BulkFailure {
    pub key: String,
    pub error: Error,
}

/// The outcome of a bulk write that did not wholly succeed.
#[derive(Debug, Clone)]
pub enum BulkError {
    /// Some items failed, each with its own error.
    Items(Vec<BulkFailure>),
    /// The request failed as a whole.
    Whole(Error),
}

/// A query (`v1.0-alpha1/state/{store}/query`): the request's JSON and its metadata.
#[derive(Debug, Clone)]
pub struct QueryRequest {
    pub query: serde_json::Value,
    pub metadata: Metadata,
}

#[derive(Clone, Default)]
pub struct QueryReply {
    pub results: Vec<QueryItem>,
    pub token: String,
    pub metadata: Metadata,
}

#[derive(Clone, Default)]
pub struct QueryItem {
    pub key: String,
    pub data: Bytes,
    pub etag: Option<String>,
    pub error: String,
    pub content_type: Option<String>,
}

/// A page of keys that match a pattern.
#[derive(Debug, Clone, Default)]
pub struct KeysPage {
    pub keys: Vec<String>,
    pub continuation: Option<String>,
}

/// What a store can do; the only statement of ability.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    pub etag: bool,
    pub transactional: bool,
    pub query: bool,
    pub ttl: bool,
    pub delete_with_prefix: bool,
    pub partition_key: bool,
    pub keys_like: bool,
}

impl Features {
    /// Names as daprd's metadata lists them, in no promised order.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.etag, "ETAG"),
            (self.transactional, "TRANSACTIONAL"),
            (self.query, "QUERY_API"),
            (self.ttl, "TTL"),
            (self.delete_with_prefix, "DELETE_WITH_PREFIX"),
            (self.partition_key, "PARTITION_KEY"),
            (self.keys_like, "KEYS_LIKE"),
        ]
        .into_iter()
        .filter_map(|(has, name)| has.then_some(name))
        .collect()
    }
}

/// A state store. Keys arrive complete (prefixed by the caller); `get` of an absent key is an empty reply.
///
/// Methods are safe to cancel: a dropped future leaves the key either before or after the operation.
#[async_trait]
pub trait StateStore: Send + Sync {
    fn features(&self) -> Features;

    async fn get(&self, request: &GetRequest) -> Result<GetReply>;

    async fn set(&self, request: &SetRequest) -> Result<()>;

    /// Deleting an absent key succeeds, unless an ETag was given.
    async fn delete(&self, request: &DeleteRequest) -> Result<()>;

    /// All keys at once. `None`: the store has nothing better than single reads and the caller makes those.
    async fn bulk_get(&self, _requests: &[GetRequest]) -> Option<Result<Vec<BulkGetItem>>> {
        None
    }

    /// `None`: as for [`StateStore::bulk_get`].
    async fn bulk_set(&self, _requests: &[SetRequest]) -> Option<Result<(), BulkError>> {
        None
    }

    /// `None`: as for [`StateStore::bulk_get`].
    async fn bulk_delete(&self, _requests: &[DeleteRequest]) -> Option<Result<(), BulkError>> {
        None
    }

    /// All operations or none, in order.
    async fn transact(&self, _operations: &[Op], _metadata: &Metadata) -> Result<()> {
        Err(Error::unsupported("a transaction"))
    }

    /// Whether queries are worth a try.
    fn may_query(&self) -> bool {
        self.features().query
    }

    /// The most operations that one transaction may have; `None` means any number.
    fn max_transaction_size(&self) -> Option<usize> {
        None
    }

    /// As [`StateStore::max_transaction_size`], for stores that have to ask for it: a pluggable store is asked once,
    /// before its first transaction. Callers that can wait use this one.
    async fn transaction_limit(&self) -> Option<usize> {
        self.max_transaction_size()
    }

    async fn query(&self, _request: &QueryRequest) -> Result<QueryReply> {
        Err(Error::unsupported("a query"))
    }

    /// Keys that match `pattern` (`%` any text, `_` one character, `\` quotes the next), at most `page_size` of them;
    /// 0 means all.
    async fn keys_like(&self, _pattern: &str, _page_size: usize, _continuation: Option<&str>) -> Result<KeysPage> {
        Err(Error::unsupported("listing keys"))
    }

    /// Deletes the keys directly below `prefix` (which ends in `||`, or gets it) and tells how many.
    async fn delete_with_prefix(&self, _prefix: &str) -> Result<u64> {
        Err(Error::unsupported("deleting by prefix"))
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    /// Ends connections and tasks. Called once, when nothing uses the store any more.
    async fn close(&self) {}
}

/// A prefix for [`StateStore::delete_with_prefix`] in its full form, as daprd 1.18 completes it.
pub fn prefix_of_keys(prefix: &str) -> Result<String> {
    match prefix {
        "" | "||" => Err(Error::other("a prefix is required for deleteWithPrefix request")),
        _ if prefix.ends_with("||") => Ok(prefix.to_owned()),
        _ => Ok(format!("{prefix}||")),
    }
}
