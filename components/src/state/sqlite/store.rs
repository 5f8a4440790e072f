//! The operations of `state.sqlite`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chrono::DateTime;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, SqliteExecutor};
use uuid::Uuid;

use super::super::like::Pattern;
use super::super::{
    BulkGetItem, Concurrency, DeleteRequest, Features, GetReply, GetRequest, KeysPage, Op, SetRequest, StateStore,
    Value, ttl,
};
use super::statements::Statements;
use crate::clients::sqlite::{Database, error};
use crate::task::Task;
use crate::{Error, Metadata, Result};

pub(super) struct SqliteStore {
    database: Database,
    statements: Statements,
    sweep: Option<Task>,
}

impl SqliteStore {
    pub(super) fn new(database: Database, statements: Statements, sweep: Option<Task>) -> Self {
        Self { database, statements, sweep }
    }

    async fn set_with(&self, executor: impl SqliteExecutor<'_>, request: &SetRequest) -> Result<()> {
        request.options.check()?;
        if request.key.is_empty() {
            return Err(Error::other("missing key in set option"));
        }
        let seconds = ttl::requested(&request.metadata).map_err(|error| error.context("error parsing TTL"))?;
        let seconds = seconds.filter(|seconds| *seconds > 0);
        let (value, is_binary) = match &request.value {
            Value::Bytes(bytes) => (BASE64.encode(bytes), true),
            Value::Json(text) => {
                (String::from_utf8(text.to_vec()).map_err(|_| Error::other("a JSON value is not valid UTF-8"))?, false)
            }
        };
        let etag = Uuid::new_v4().to_string();
        let query = match request.etag() {
            Some(expected) => sqlx::query::<Sqlite>(self.statements.update.clone())
                .bind(value)
                .bind(is_binary)
                .bind(etag)
                .bind(seconds)
                .bind(&request.key)
                .bind(expected),
            None => {
                let first = request.options.concurrency == Concurrency::FirstWrite;
                let statement = if first { &self.statements.insert } else { &self.statements.set };
                sqlx::query::<Sqlite>(statement.clone())
                    .bind(&request.key)
                    .bind(value)
                    .bind(is_binary)
                    .bind(etag)
                    .bind(seconds)
            }
        };
        let done = query.execute(executor).await.map_err(error)?;
        if done.rows_affected() == 0 { Err(Error::etag_mismatch(None)) } else { Ok(()) }
    }

    async fn delete_with(&self, executor: impl SqliteExecutor<'_>, request: &DeleteRequest) -> Result<()> {
        request.options.check()?;
        if request.key.is_empty() {
            return Err(Error::other("missing key in delete operation"));
        }
        let done = match request.etag() {
            Some(etag) => sqlx::query(self.statements.delete_matching.clone()).bind(&request.key).bind(etag),
            None => sqlx::query(self.statements.delete.clone()).bind(&request.key),
        }
        .execute(executor)
        .await
        .map_err(error)?;
        if done.rows_affected() == 0 && request.etag().is_some() { Err(Error::etag_mismatch(None)) } else { Ok(()) }
    }
}

#[async_trait]
impl StateStore for SqliteStore {
    fn features(&self) -> Features {
        Features { etag: true, transactional: true, ttl: true, keys_like: true, ..Features::default() }
    }

    async fn get(&self, request: &GetRequest) -> Result<GetReply> {
        if request.key.is_empty() {
            return Err(Error::other("missing key in get operation"));
        }
        self.database
            .timed(async {
                let row = sqlx::query(self.statements.get.clone())
                    .bind(&request.key)
                    .fetch_optional(self.database.reader())
                    .await
                    .map_err(error)?;
                row.map_or_else(|| Ok(GetReply::default()), |row| reply(&row))
            })
            .await
    }

    async fn set(&self, request: &SetRequest) -> Result<()> {
        self.database.timed(self.set_with(self.database.writer(), request)).await
    }

    async fn delete(&self, request: &DeleteRequest) -> Result<()> {
        self.database.timed(self.delete_with(self.database.writer(), request)).await
    }

    /// What was found comes first, by key; what was not, behind it: as in daprd.
    async fn bulk_get(&self, requests: &[GetRequest]) -> Option<Result<Vec<BulkGetItem>>> {
        let keys = serde_json::Value::from(requests.iter().map(|request| request.key.as_str()).collect::<Vec<_>>());
        let read = self.database.timed(async {
            sqlx::query(self.statements.get_many.clone())
                .bind(keys.to_string())
                .fetch_all(self.database.reader())
                .await
                .map_err(error)
        });
        let rows = match read.await {
            Ok(rows) => rows,
            Err(failure) => return Some(Err(failure)),
        };
        let mut missing: BTreeMap<&str, ()> = requests.iter().map(|request| (request.key.as_str(), ())).collect();
        let mut items = Vec::with_capacity(missing.len());
        for row in rows {
            let key: String = match row.try_get(0) {
                Ok(key) => key,
                Err(failure) => return Some(Err(error(failure))),
            };
            missing.remove(key.as_str());
            items.push(BulkGetItem { key, result: reply(&row) });
        }
        for request in requests {
            if missing.remove(request.key.as_str()).is_some() {
                items.push(BulkGetItem { key: request.key.clone(), result: Ok(GetReply::default()) });
            }
        }
        Some(Ok(items))
    }

    async fn transact(&self, operations: &[Op], _metadata: &Metadata) -> Result<()> {
        self.database
            .timed(async {
                let mut transaction = self
                    .database
                    .begin()
                    .await
                    .map_err(|failure| error(failure).context("failed to begin transaction"))?;
                for operation in operations {
                    match operation {
                        Op::Upsert(set) => self.set_with(&mut *transaction, set).await?,
                        Op::Delete(delete) => self.delete_with(&mut *transaction, delete).await?,
                    }
                }
                transaction.commit().await.map_err(|failure| error(failure).context("failed to commit transaction"))
            })
            .await
    }

    /// Keys by age of their row. The continuation is the last row's number.
    async fn keys_like(&self, pattern: &str, page_size: usize, continuation: Option<&str>) -> Result<KeysPage> {
        let glob = Pattern::parse(pattern)?.to_sqlite_glob();
        let after: i64 = match continuation {
            Some(token) => token.parse().map_err(|_| Error::other(format!("invalid continuation token: {token}")))?,
            None => 0,
        };
        // One more than asked for, to know whether a further page exists; a negative limit is none.
        let limit = if page_size == 0 { -1 } else { i64::try_from(page_size).unwrap_or(i64::MAX).saturating_add(1) };
        self.database
            .timed(async {
                let mut found: Vec<(String, i64)> = sqlx::query_as(self.statements.keys_like.clone())
                    .bind(glob)
                    .bind(after)
                    .bind(limit)
                    .fetch_all(self.database.reader())
                    .await
                    .map_err(error)?;
                let more = page_size > 0 && found.len() > page_size;
                if more {
                    found.truncate(page_size);
                }
                let continuation = found.last().filter(|_| more).map(|(_, row)| row.to_string());
                Ok(KeysPage { keys: found.into_iter().map(|(key, _)| key).collect(), continuation })
            })
            .await
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        if let Some(sweep) = &self.sweep {
            sweep.stop().await;
        }
        self.database.close().await;
    }
}

/// A row of `key, value, is_binary, etag, expiration`.
fn reply(row: &SqliteRow) -> Result<GetReply> {
    // Unchecked: the file may come from another program that wrote a text as a blob.
    let value: Vec<u8> = row.try_get_unchecked(1).map_err(error)?;
    let data = if row.try_get_unchecked(2).map_err(error)? {
        BASE64.decode(&value).map_err(|failure| Error::other(format!("failed to decode binary data: {failure}")))?
    } else {
        value
    };
    let expires: Option<i64> = row.try_get(4).map_err(error)?;
    Ok(GetReply {
        data: Some(Bytes::from(data)),
        etag: Some(row.try_get(3).map_err(error)?),
        metadata: expires.and_then(|at| DateTime::from_timestamp(at, 0)).map(ttl::reply_metadata).unwrap_or_default(),
        content_type: None,
    })
}
