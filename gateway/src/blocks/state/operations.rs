//! The operations of the state API.

use bytes::Bytes;
use components::Metadata;
use components::state::{Consistency, Options, Value};

use super::StateBlock;
use crate::operation::Operation;

#[derive(Debug)]
pub struct GetState {
    pub store: String,
    pub key: String,
    pub consistency: Consistency,
    pub metadata: Metadata,
}

/// `data` is `None` for an absent key.
#[derive(Default)]
pub struct StateItem {
    pub data: Option<Bytes>,
    pub etag: Option<String>,
    pub metadata: Metadata,
}

#[derive(Debug)]
pub struct GetBulkState {
    pub store: String,
    pub keys: Vec<String>,
    /// At most so many reads at once; 0 and below: no limit.
    pub parallelism: i64,
    pub metadata: Metadata,
}

pub struct BulkStateItem {
    pub key: String,
    pub result: Result<StateItem, String>,
}

/// A value to save. `value` as in [`components::state::Value`].
#[derive(Debug)]
pub struct SaveItem {
    pub key: String,
    pub value: Value,
    /// The value as it was sent, where that is not [`SaveItem::value`]: an encrypted store keeps this one.
    pub sent: Option<Bytes>,
    pub etag: Option<String>,
    pub options: Options,
    pub metadata: Metadata,
}

#[derive(Debug)]
pub struct SaveState {
    pub store: String,
    pub items: Vec<SaveItem>,
}

#[derive(Debug)]
pub struct DeleteItem {
    pub key: String,
    pub etag: Option<String>,
    pub options: Options,
    pub metadata: Metadata,
}

#[derive(Debug)]
pub struct DeleteState {
    pub store: String,
    pub item: DeleteItem,
}

#[derive(Debug)]
pub struct DeleteBulkState {
    pub store: String,
    pub items: Vec<DeleteItem>,
}

#[derive(Debug)]
pub enum TransactionOp {
    Upsert(SaveItem),
    Delete(DeleteItem),
    /// What the caller wrote in place of the two.
    Unknown(String),
}

#[derive(Debug)]
pub struct ExecuteStateTransaction {
    pub store: String,
    pub operations: Vec<TransactionOp>,
    pub metadata: Metadata,
}

#[derive(Debug)]
pub struct QueryState {
    pub store: String,
    /// The query's JSON text.
    pub query: Bytes,
    pub metadata: Metadata,
}

macro_rules! operations {
    ($($name:ident -> $reply:ty),* $(,)?) => {
        $(impl Operation for $name {
            type Reply = $reply;
            type Block = StateBlock;
            const NAME: &'static str = stringify!($name);
        })*
    };
}

operations! {
    GetState -> StateItem,
    GetBulkState -> Vec<BulkStateItem>,
    SaveState -> (),
    DeleteState -> (),
    DeleteBulkState -> (),
    ExecuteStateTransaction -> (),
    QueryState -> components::state::QueryReply,
}
