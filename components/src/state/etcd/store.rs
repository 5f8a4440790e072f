//! The operations of `state.etcd`.

use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;

use super::super::like::Pattern;
use super::super::{
    Concurrency, DeleteRequest, Features, GetReply, GetRequest, KeysPage, Op, SetRequest, StateStore, ttl,
};
use super::schema::Schema;
use crate::clients::etcd::Client;
use crate::clients::etcd::pb::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use crate::clients::etcd::pb::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::clients::etcd::pb::etcdserverpb::request_op::Request;
use crate::clients::etcd::pb::etcdserverpb::response_op::Response;
use crate::clients::etcd::pb::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest,
};
use crate::{Error, Metadata, Result};

pub(super) struct EtcdStore {
    pub(super) client: Client,
    pub(super) schema: Schema,
    /// With the slash that parts it from the key, which is there even when the prefix is empty.
    pub(super) prefix: String,
    pub(super) max_ops: usize,
}

/// A write, with what has to hold for it.
struct Write {
    key: String,
    condition: Condition,
    change: Change,
}

enum Condition {
    None,
    /// First-write concurrency without an ETag.
    Absent,
    /// The ETag as given: possibly not even a number.
    Etag(String),
}

enum Change {
    Put { value: Bytes, ttl: Option<i64> },
    Delete,
}

impl Condition {
    fn new(etag: Option<&str>, concurrency: &Concurrency) -> Self {
        match etag {
            Some(etag) => Self::Etag(etag.to_owned()),
            None if *concurrency == Concurrency::FirstWrite => Self::Absent,
            None => Self::None,
        }
    }

    fn compare(&self, key: &str) -> Option<Compare> {
        let (target, union) = match self {
            Self::None => return None,
            Self::Absent => (CompareTarget::Create, TargetUnion::CreateRevision(0)),
            // Revisions are positive: what is no number matches none.
            Self::Etag(etag) => (CompareTarget::Mod, TargetUnion::ModRevision(etag.parse().unwrap_or(-1))),
        };
        Some(Compare {
            result: CompareResult::Equal.into(),
            target: target.into(),
            key: Bytes::copy_from_slice(key.as_bytes()),
            target_union: Some(union),
            ..Compare::default()
        })
    }

    /// Why a condition did not hold, given the key's revision; none when it did.
    fn failure(&self, key: &str, current: Option<i64>) -> Option<Error> {
        let detail = match (self, current) {
            (Self::Absent, Some(_)) => "item already exists and no etag was passed".to_owned(),
            (Self::Etag(_), None) => format!("state not exist or expired for key={key}"),
            (Self::Etag(etag), Some(current)) if current.to_string() != *etag => {
                format!("state etag not match for key={key}: current={current}, expect={etag}")
            }
            _ => return None,
        };
        Some(Error::etag_mismatch(Some(&detail)))
    }
}

impl EtcdStore {
    fn path(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    fn put(&self, request: &SetRequest) -> Result<Write> {
        request.options.check()?;
        let ttl = ttl::requested(&request.metadata)?.filter(|ttl| *ttl > 0);
        Ok(Write {
            key: self.path(&request.key),
            condition: Condition::new(request.etag(), &request.options.concurrency),
            change: Change::Put { value: self.schema.encode(request.value.bytes(), ttl, Utc::now()), ttl },
        })
    }

    fn removal(&self, request: &DeleteRequest) -> Result<Write> {
        request.options.check()?;
        Ok(Write {
            key: self.path(&request.key),
            condition: Condition::new(request.etag(), &request.options.concurrency),
            change: Change::Delete,
        })
    }

    /// All writes or none. Of several to one key the last one counts, as etcd takes a key once in a transaction; their
    /// conditions are about what was there before.
    async fn write(&self, writes: Vec<Write>) -> Result<()> {
        let mut leases = Vec::new();
        let result = self.write_with_leases(&writes, &mut leases).await;
        if result.is_err() {
            for lease in leases {
                self.client.revoke(lease).await;
            }
        }
        result
    }

    async fn write_with_leases(&self, writes: &[Write], leases: &mut Vec<i64>) -> Result<()> {
        let (mut compare, mut success, mut failure) = (Vec::new(), Vec::new(), Vec::new());
        for (place, write) in writes.iter().enumerate() {
            if let Some(condition) = write.condition.compare(&write.key) {
                compare.push(condition);
                failure.push(operation(Request::RequestRange(range(&write.key))));
            }
            if writes[place + 1..].iter().any(|later| later.key == write.key) {
                continue;
            }
            let key = Bytes::copy_from_slice(write.key.as_bytes());
            success.push(operation(match &write.change {
                Change::Delete => Request::RequestDeleteRange(DeleteRangeRequest { key, ..Default::default() }),
                Change::Put { value, ttl } => {
                    let lease = match ttl {
                        Some(seconds) => {
                            let lease = self
                                .client
                                .grant(*seconds)
                                .await
                                .map_err(|error| error.context(format!("couldn't grant lease {}", write.key)))?;
                            leases.push(lease);
                            lease
                        }
                        None => 0,
                    };
                    Request::RequestPut(PutRequest { key, value: value.clone(), lease, ..Default::default() })
                }
            }));
        }
        let reply = self.client.txn(TxnRequest { compare, success, failure }).await?;
        if reply.succeeded {
            return Ok(());
        }
        // What the keys were at that moment, in the order of the conditions.
        let mut found = reply.responses.into_iter().map(|response| match response.response {
            Some(Response::ResponseRange(range)) => range.kvs.into_iter().next().map(|kv| kv.mod_revision),
            _ => None,
        });
        let conditional = writes.iter().filter(|write| !matches!(write.condition, Condition::None));
        let failed = conditional.filter_map(|write| write.condition.failure(&write.key, found.next().flatten())).next();
        Err(failed.unwrap_or_else(|| Error::etag_mismatch(None)))
    }
}

#[async_trait]
impl StateStore for EtcdStore {
    fn features(&self) -> Features {
        Features { etag: true, transactional: true, ttl: true, keys_like: true, ..Features::default() }
    }

    async fn get(&self, request: &GetRequest) -> Result<GetReply> {
        let path = self.path(&request.key);
        let reply =
            self.client.range(range(&path)).await.map_err(|error| error.context(format!("couldn't get key {path}")))?;
        let Some(kv) = reply.kvs.into_iter().next() else { return Ok(GetReply::default()) };
        let (data, metadata) = self.schema.decode(kv.value)?;
        Ok(GetReply { data: Some(data), etag: Some(kv.mod_revision.to_string()), metadata, content_type: None })
    }

    async fn set(&self, request: &SetRequest) -> Result<()> {
        let write = self.put(request)?;
        let context = format!("couldn't set key {}", write.key);
        self.write(vec![write]).await.map_err(|error| if error.is_etag() { error } else { error.context(context) })
    }

    async fn delete(&self, request: &DeleteRequest) -> Result<()> {
        let write = self.removal(request)?;
        let context = format!("couldn't delete key {}", write.key);
        self.write(vec![write]).await.map_err(|error| if error.is_etag() { error } else { error.context(context) })
    }

    async fn transact(&self, operations: &[Op], _metadata: &Metadata) -> Result<()> {
        if operations.is_empty() {
            return Ok(());
        }
        let writes = operations.iter().map(|operation| match operation {
            Op::Upsert(set) => self.put(set),
            Op::Delete(delete) => self.removal(delete),
        });
        self.write(writes.collect::<Result<_>>()?).await
    }

    fn max_transaction_size(&self) -> Option<usize> {
        Some(self.max_ops)
    }

    /// Keys by age, all pages at one revision of the store. The continuation is `<revision>:<age>:<key>` of the last.
    async fn keys_like(&self, pattern: &str, page_size: usize, continuation: Option<&str>) -> Result<KeysPage> {
        let pattern = Pattern::parse(pattern)?;
        let after = continuation.map(Position::parse).transpose()?;
        let start = format!("{}{}", self.prefix, pattern.literal_prefix());
        let reply = self
            .client
            .range(RangeRequest {
                range_end: end_of_prefix(start.as_bytes()),
                key: start.into_bytes().into(),
                revision: after.as_ref().map_or(0, |after| after.revision),
                min_create_revision: after.as_ref().map_or(0, |after| after.created),
                sort_order: SortOrder::Ascend.into(),
                sort_target: SortTarget::Create.into(),
                keys_only: true,
                ..RangeRequest::default()
            })
            .await?;
        let revision = match &after {
            Some(after) => after.revision,
            None => reply.header.map(|header| header.revision).unwrap_or_default(),
        };
        let mut found: Vec<(i64, String)> = reply
            .kvs
            .into_iter()
            .filter_map(|kv| {
                let key = std::str::from_utf8(&kv.key).ok()?.strip_prefix(&self.prefix)?;
                pattern.matches(key).then(|| (kv.create_revision, key.to_owned()))
            })
            .collect();
        // Keys of one transaction are equally old.
        found.sort_unstable();
        if let Some(after) = after {
            found.retain(|(created, key)| (*created, key.as_str()) > (after.created, after.key.as_str()));
        }
        let more = page_size > 0 && found.len() > page_size;
        if more {
            found.truncate(page_size);
        }
        let last = found.last().filter(|_| more);
        let continuation = last.map(|(created, key)| format!("{revision}:{created}:{key}"));
        Ok(KeysPage { keys: found.into_iter().map(|(_, key)| key).collect(), continuation })
    }

    async fn ping(&self) -> Result<()> {
        self.client
            .range(range("health"))
            .await
            .map_err(|error| error.context("etcd store: error connecting to etcd"))?;
        Ok(())
    }
}

/// Where a page of keys ended.
struct Position {
    revision: i64,
    created: i64,
    key: String,
}

impl Position {
    fn parse(token: &str) -> Result<Self> {
        let mut parts = token.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.parse().ok());
        match (number(), number(), parts.next()) {
            (Some(revision), Some(created), Some(key)) => Ok(Self { revision, created, key: key.to_owned() }),
            _ => Err(Error::other("invalid continue token")),
        }
    }
}

fn operation(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn range(key: &str) -> RangeRequest {
    RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..RangeRequest::default() }
}

/// The first key behind all that begin with `prefix`; a single zero byte means the end of all keys.
fn end_of_prefix(prefix: &[u8]) -> Bytes {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end.into();
        }
    }
    Bytes::from_static(b"\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_the_next_one() {
        assert_eq!(end_of_prefix(b"a/").as_ref(), b"a0");
        assert_eq!(end_of_prefix(b"a\xff").as_ref(), b"b");
        assert_eq!(end_of_prefix(b"").as_ref(), b"\0");
    }
}
