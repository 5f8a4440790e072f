//! One connection that writes and several that read.
//!
//! SQLite lets one connection write at a time, and connections that meet sleep and try again. Within a process it is
//! quicker and fairer to queue for the one writer; the busy time-out is left for other processes.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr, Sqlite, Transaction};

use super::config::{Config, Location};
use crate::{Error, ErrorKind, Result};

/// The most connections that read at a time.
const READERS: u32 = 4;

/// An open database.
#[derive(Clone)]
pub struct Database {
    reader: SqlitePool,
    writer: SqlitePool,
    location: Location,
    timeout: Duration,
}

impl Database {
    /// Opens (and creates) the database and sets its journal mode.
    pub async fn open(config: &Config) -> Result<Self> {
        Self::open_with(config, |options| options).await
    }

    /// As [`Database::open`], with further settings for its connections.
    pub async fn open_with(
        config: &Config,
        adjust: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self> {
        let mut location = config.location()?;
        location.options = adjust(location.options);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(config.timeout)
                // A database in memory ends with its last connection, and a file is cheaper held than reopened.
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        let writing = location.options.clone().journal_mode(location.journal_mode);
        // Changing the journal mode needs the file for itself, and SQLite does not wait for that: so we do.
        let patience = Instant::now() + config.busy_timeout.max(Duration::from_secs(1));
        let writer = loop {
            match pool(1).connect_with(writing.clone()).await {
                Ok(writer) => break writer,
                Err(failure) if is_busy(&failure) && Instant::now() < patience => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(failure) => return Err(error(failure).context("failed to ping")),
            }
        };
        let reader =
            if location.in_memory { writer.clone() } else { pool(READERS).connect_lazy_with(location.options.clone()) };
        Ok(Self { reader, writer, location, timeout: config.timeout })
    }

    /// For statements that only read.
    pub fn reader(&self) -> &SqlitePool {
        &self.reader
    }

    /// For single statements that write.
    pub fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// A transaction; dropped without a commit it is rolled back.
    pub async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with(self.location.begin()).await
    }

    /// A transaction that also keeps readers of a rollback-journal file out.
    pub async fn begin_exclusive(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN EXCLUSIVE").await
    }

    /// Runs a request within the configured time.
    pub async fn timed<T>(&self, request: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.timeout, request).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "context deadline exceeded")),
        }
    }

    /// Fails when the database cannot be read.
    pub async fn ping(&self) -> Result<()> {
        self.timed(async {
            sqlx::query("SELECT 1").execute(&self.reader).await.map_err(error)?;
            Ok(())
        })
        .await
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// A statement made at run time. Nothing may go into its text but names that passed [`super::identifier`] and numbers.
pub fn sql(text: String) -> SqlStr {
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// A failure of the database as a component's error; the number is SQLite's result code.
pub fn error(failure: sqlx::Error) -> Error {
    match failure {
        sqlx::Error::Database(inner) => {
            let kind = if is_locked(inner.code().as_deref()) { ErrorKind::Unavailable } else { ErrorKind::Other };
            Error::new(kind, format!("{} ({})", inner.message(), inner.code().unwrap_or_default()))
        }
        sqlx::Error::PoolTimedOut => Error::new(ErrorKind::Timeout, "context deadline exceeded"),
        sqlx::Error::PoolClosed => Error::new(ErrorKind::Unavailable, "sql: database is closed"),
        other => Error::other(other.to_string()),
    }
}

/// Whether another process holds the file.
pub(crate) fn is_busy(failure: &sqlx::Error) -> bool {
    matches!(failure, sqlx::Error::Database(inner) if is_locked(inner.code().as_deref()))
}

/// `SQLITE_BUSY` and `SQLITE_LOCKED`, also in their extended forms.
fn is_locked(code: Option<&str>) -> bool {
    let code: Option<u32> = code.and_then(|code| code.parse().ok());
    code.is_some_and(|code| matches!(code & 0xff, 5 | 6))
}
