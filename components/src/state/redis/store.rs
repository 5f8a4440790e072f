//! The operations of `state.redis`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::value::RawValue;

use super::super::like::Pattern;
use super::super::{
    Concurrency, Consistency, DeleteRequest, Features, GetReply, GetRequest, KeysPage, Op, SetRequest, StateStore,
    Value, ttl::TTL_KEY,
};
use crate::clients::redis::{Argument, Client, Reply, Route, Script, slot};
use crate::{Error, Metadata, Result, go};

/// How long a write with strong consistency waits for the replicas, in milliseconds.
const REPLICA_PATIENCE: i64 = 1000;

pub(super) struct RedisStore {
    pub(super) client: Client,
    pub(super) address: String,
    pub(super) script: Script,
    pub(super) replicas: i64,
    pub(super) has_json: bool,
    /// `ttlInSeconds` of the component, for requests without one.
    pub(super) default_ttl: Option<i64>,
}

/// One operation as the script takes it.
struct Write {
    key: String,
    has_etag: bool,
    deletes: bool,
    arguments: [Argument; 5],
}

impl Write {
    /// The error of an operation whose version did not match.
    fn conflict(&self) -> Error {
        let key = &self.key;
        match (self.deletes, self.has_etag) {
            (true, _) => Error::etag_mismatch(Some(&format!("failed to delete {key}"))),
            (false, true) => Error::etag_mismatch(Some(&format!("failed to set key {key}"))),
            (false, false) => Error::other(format!(
                "failed to set key {key}: it was written with first-write concurrency and no etag was passed"
            )),
        }
    }
}

impl RedisStore {
    fn is_json(&self, metadata: &Metadata) -> bool {
        self.has_json && metadata.get("contentType").map(String::as_str) == Some("application/json")
    }

    fn set_write(&self, request: &SetRequest, json: bool, marks: bool) -> Result<Write> {
        let etag = match request.etag() {
            Some(text) if request.options.concurrency != Concurrency::LastWrite => {
                go::parse_int("Atoi", text).map_err(|error| Error::etag_invalid(Some(&error)))?
            }
            _ => 0,
        };
        let ttl = match request.metadata.get(TTL_KEY).filter(|text| !text.is_empty()) {
            Some(text) => Some(
                go::parse_int("ParseInt", text)
                    .map_err(|error| Error::other(format!("failed to parse ttl from metadata: {error}")))?,
            ),
            None => self.default_ttl,
        };
        let first = marks && request.options.concurrency == Concurrency::FirstWrite;
        let data = if json { document(&request.value) } else { request.value.bytes().clone() };
        Ok(Write {
            key: request.key.clone(),
            has_etag: etag != 0 || request.etag().is_some(),
            deletes: false,
            arguments: [
                if json { "jset" } else { "set" }.into(),
                etag.to_string().into(),
                data.into(),
                if first { "0" } else { "1" }.into(),
                ttl.map(|ttl| ttl.to_string()).unwrap_or_default().into(),
            ],
        })
    }

    fn delete_write(&self, request: &DeleteRequest, json: bool) -> Write {
        Write {
            key: request.key.clone(),
            has_etag: request.etag().is_some(),
            deletes: true,
            arguments: [
                if json { "jdel" } else { "del" }.into(),
                request.etag().unwrap_or("0").into(),
                "".into(),
                "1".into(),
                "".into(),
            ],
        }
    }

    /// Runs the script for operations whose keys share a slot. With `strongly`, ends when the replicas have them.
    async fn write(&self, writes: Vec<Write>, strongly: bool) -> Result<()> {
        let keys: Vec<Bytes> = writes.iter().map(|write| Bytes::copy_from_slice(write.key.as_bytes())).collect();
        let Some(first_key) = keys.first().cloned() else { return Ok(()) };
        let arguments = writes.iter().flat_map(|write| write.arguments.iter().cloned()).collect();
        let connection = self.client.connection();
        let reply = connection.run(&self.script, keys, arguments).await?;
        // The number of the operation that failed, counted from 1.
        match reply.integer().map(usize::try_from) {
            Some(Ok(0)) => (),
            Some(Ok(number)) => return Err(writes.get(number - 1).map_or_else(unexpected, Write::conflict)),
            _ => return Err(unexpected()),
        }
        if strongly && self.replicas > 0 {
            // It covers what its own connection wrote, so it has to be the same one.
            let wait = vec![self.replicas.into(), REPLICA_PATIENCE.into()];
            connection.call_near(&first_key, "WAIT", wait).await.map_err(|error| {
                let replicas = self.replicas;
                Error::from(error).context(format!("redis waiting for {replicas} replicas to acknowledge write, err"))
            })?;
        }
        Ok(())
    }

    async fn get_hash(&self, key: &str) -> Result<GetReply> {
        match self.client.call("HGETALL", Route::Key(0), vec![key.into()]).await {
            Ok(reply) => hash_reply(reply),
            // A plain text from before there were versions.
            Err(error) if error.is("WRONGTYPE") => {
                let reply = self.client.call("GET", Route::Key(0), vec![key.into()]).await?;
                Ok(GetReply { data: reply.bytes(), ..GetReply::default() })
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn get_document(&self, key: &str) -> Result<GetReply> {
        let reply = self.client.call("JSON.GET", Route::Key(0), vec![key.into()]).await?;
        let Some(text) = reply.bytes() else { return Ok(GetReply::default()) };
        let document: Document<'_> = serde_json::from_slice(&text)
            .map_err(|error| Error::other(format!("the JSON document of key {key} cannot be read: {error}")))?;
        let data = document.data.map_or("null", RawValue::get);
        Ok(GetReply {
            data: Some(Bytes::copy_from_slice(data.as_bytes())),
            etag: document.version.map(|version| version.to_string()),
            ..GetReply::default()
        })
    }
}

#[derive(serde::Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    version: Option<i64>,
}

#[async_trait]
impl StateStore for RedisStore {
    fn features(&self) -> Features {
        Features { etag: true, transactional: true, ttl: true, keys_like: true, ..Features::default() }
    }

    async fn get(&self, request: &GetRequest) -> Result<GetReply> {
        if self.is_json(&request.metadata) {
            self.get_document(&request.key).await
        } else {
            self.get_hash(&request.key).await
        }
    }

    async fn set(&self, request: &SetRequest) -> Result<()> {
        request.options.check()?;
        let write = self.set_write(request, self.is_json(&request.metadata), true)?;
        self.write(vec![write], request.options.consistency == Consistency::Strong).await
    }

    async fn delete(&self, request: &DeleteRequest) -> Result<()> {
        request.options.check()?;
        self.write(vec![self.delete_write(request, self.is_json(&request.metadata))], false).await
    }

    async fn transact(&self, operations: &[Op], metadata: &Metadata) -> Result<()> {
        let all_json = self.is_json(metadata);
        // In a cluster a script sees one slot. Keys of several slots are written slot by slot, as daprd does it.
        let mut slots: BTreeMap<u16, Vec<Write>> = BTreeMap::new();
        for operation in operations {
            let write = match operation {
                // A transaction does not mark keys as written first: as in daprd, whose later writes depend on it.
                Op::Upsert(set) => self.set_write(set, all_json || self.is_json(&set.metadata), false)?,
                Op::Delete(delete) => self.delete_write(delete, all_json || self.is_json(&delete.metadata)),
            };
            let slot = if self.client.is_clustered() { slot(&write.key) } else { 0 };
            slots.entry(slot).or_default().push(write);
        }
        for writes in slots.into_values() {
            self.write(writes, false).await?;
        }
        Ok(())
    }

    /// All keys that match, sorted; the continuation is the number of those before it.
    async fn keys_like(&self, pattern: &str, page_size: usize, continuation: Option<&str>) -> Result<KeysPage> {
        let glob = Pattern::parse(pattern)?.to_redis_glob();
        let start: usize = continuation.and_then(|token| token.parse().ok()).unwrap_or_default();
        let found = self.client.scan(&glob).await.map_err(|error| Error::from(error).context("redis SCAN failed"))?;
        let mut keys: Vec<String> = found.into_iter().map(|key| String::from_utf8_lossy(&key).into_owned()).collect();
        keys.sort_unstable();
        // A scan may return a key twice.
        keys.dedup();
        let end = if page_size == 0 { keys.len() } else { keys.len().min(start.saturating_add(page_size)) };
        let continuation = (end < keys.len()).then(|| end.to_string());
        Ok(KeysPage { keys: keys.get(start..end).unwrap_or_default().to_vec(), continuation })
    }

    async fn ping(&self) -> Result<()> {
        self.client.ping().await.map_err(|error| {
            Error::from(error).context(format!("redis store: error connecting to redis at {}", self.address))
        })
    }

    async fn close(&self) {
        self.client.quit().await;
    }
}

/// The reply of `HGETALL`.
fn hash_reply(reply: Reply) -> Result<GetReply> {
    let (mut data, mut version) = (None, None);
    let mut fields = reply.array().into_iter();
    if fields.len() == 0 {
        return Ok(GetReply::default());
    }
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match name.bytes().as_deref() {
            Some(b"data") => data = value.bytes(),
            Some(b"version") => version = value.text(),
            _ => (),
        }
    }
    match (data, version) {
        (Some(data), Some(version)) => Ok(GetReply { data: Some(data), etag: Some(version), ..GetReply::default() }),
        _ => Err(Error::other("required hash field 'data' or 'version' was not found")),
    }
}

/// `{"data": <value>}`; bytes become a text in Base64, as Go writes bytes into JSON.
fn document(value: &Value) -> Bytes {
    let data = match value {
        Value::Json(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Bytes(bytes) => format!("\"{}\"", BASE64.encode(bytes)),
    };
    Bytes::from(format!("{{\"data\":{data}}}"))
}

fn unexpected() -> Error {
    Error::other("redis answered a script with something unexpected")
}
