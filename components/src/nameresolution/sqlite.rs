//! `nameresolution.sqlite`: sidecars register in a table of a SQLite file that they share, a daprd 1.18 among them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlStr;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{ResolveRequest, Resolver, host_port};
use crate::clients::sqlite::{Config as FileConfig, Database, Sweep, error, identifier, migrate, sql, sweep_regularly};
use crate::component::{Built, InitContext, Spec};
use crate::metadata::Properties;
use crate::task::{Task, lock};
use crate::{Error, ErrorKind, Result};

pub const PROPERTIES: &[&str] = &[
    "connectionString",
    "url",
    "timeout",
    "timeoutInSeconds",
    "busyTimeout",
    "disableWAL",
    "tableName",
    "metadataTableName",
    "updateInterval",
    "cleanupInterval",
    "cleanupIntervalInSeconds",
];

/// What the configuration says.
struct Config {
    file: FileConfig,
    table: String,
    metadata_table: String,
    /// `updateInterval`: rows that were not renewed for this long are dead.
    update_interval: Duration,
    cleanup_interval: Option<Duration>,
}

impl Config {
    fn read(properties: &Properties) -> Result<Self> {
        let name = |property: &str, what: &str, default: &str| -> Result<String> {
            let text = properties.get(&[property]).unwrap_or(default);
            let valid =
                identifier(text).map_err(|_| Error::config(format!("invalid identifier for {what}: {text}")))?;
            Ok(valid.to_owned())
        };
        let file = FileConfig::read_with_defaults(properties, Duration::from_secs(1), Duration::from_millis(800))?;
        let update_interval = properties.interval(&["updateInterval"])?.unwrap_or(Duration::from_secs(5));
        if update_interval.subsec_nanos() != 0 {
            return Err(Error::config("update interval must not contain fractions of seconds"));
        }
        if update_interval < file.timeout + Duration::from_secs(1) {
            return Err(Error::config("update interval must be at least 1s greater than timeout"));
        }
        let cleanup = properties.interval(&["cleanupInterval", "cleanupIntervalInSeconds"])?;
        Ok(Self {
            file,
            table: name("tableName", "table name", "hosts")?,
            metadata_table: name("metadataTableName", "metadata table name", "metadata")?,
            update_interval,
            cleanup_interval: Some(cleanup.unwrap_or(Duration::from_secs(3600))).filter(|interval| !interval.is_zero()),
        })
    }
}

/// Opens the file, registers this sidecar and keeps the registration alive.
pub async fn build(spec: Spec, context: InitContext) -> Result<Built> {
    let instance = &context.instance;
    if context.app_id.is_empty() {
        return Err(Error::config("name is missing"));
    }
    if instance.address.is_empty() {
        return Err(Error::config("address is missing"));
    }
    if instance.internal_port == 0 {
        return Err(Error::config("port is missing or invalid"));
    }
    let config = Config::read(&spec.properties)?;
    if config.file.location()?.in_memory {
        tracing::warn!(
            "Configuring name resolution with an in-memory SQLite database. Service invocation across different apps \
             will not work."
        );
    }
    let database = Database::open(&config.file).await?;
    let statements = Arc::new(Statements::new(&config.table, config.update_interval));
    migrate(&database, &config.metadata_table, "nr-migrations", std::slice::from_ref(&statements.create)).await?;
    let sweep = config.cleanup_interval.map(|every| {
        let (metadata_table, delete) = (config.metadata_table.clone(), statements.delete_dead.clone());
        sweep_regularly(database.clone(), Sweep { every, metadata_table, key: "nr-last-cleanup", delete })
    });
    let registration = Arc::new(Registration {
        database,
        statements,
        id: Uuid::new_v4().to_string(),
        address: host_port(&instance.address, instance.internal_port),
        app_id: context.app_id,
        removed: CancellationToken::new(),
    });
    registration.add().await?;
    // Each renewal may take as long as a request may take, and has to be done before the row is dead.
    let every = config.update_interval - config.file.timeout;
    let renewal = Task::spawn(|token| renew(registration.clone(), every, token));
    Ok(Built::NameResolution(Arc::new(SqliteResolver { registration, renewal, sweep, dead: Mutex::default() })))
}

struct Statements {
    create: SqlStr,
    /// registration, address, app id
    add: SqlStr,
    /// registration, address
    renew: SqlStr,
    /// registration, address
    remove: SqlStr,
    /// app id -> address, last update
    find: SqlStr,
    delete_dead: SqlStr,
}

impl Statements {
    fn new(table: &str, update_interval: Duration) -> Self {
        let seconds = update_interval.as_secs();
        let age = "unixepoch(CURRENT_TIMESTAMP) - last_update";
        Self {
            create: sql(format!(
                "CREATE TABLE {table} (
                    registration_id TEXT NOT NULL PRIMARY KEY,
                    address TEXT NOT NULL,
                    app_id TEXT NOT NULL,
                    namespace TEXT NOT NULL,
                    last_update INTEGER NOT NULL
                );
                CREATE UNIQUE INDEX {table}_address_idx ON {table} (address);
                CREATE INDEX {table}_last_update_idx ON {table} (last_update)"
            )),
            // Whoever had the address before is gone. Namespaces are not used, as in daprd.
            add: sql(format!(
                "REPLACE INTO {table} (registration_id, address, app_id, namespace, last_update)
                 VALUES (?, ?, ?, '', unixepoch(CURRENT_TIMESTAMP))"
            )),
            renew: sql(format!(
                "UPDATE {table} SET last_update = unixepoch(CURRENT_TIMESTAMP) WHERE registration_id = ? AND address = ?"
            )),
            remove: sql(format!("DELETE FROM {table} WHERE registration_id = ? AND address = ?")),
            find: sql(format!(
                "SELECT address, last_update FROM {table} WHERE app_id = ? AND {age} < {seconds} ORDER BY RANDOM()"
            )),
            delete_dead: sql(format!("DELETE FROM {table} WHERE {age} >= {seconds}")),
        }
    }
}

/// This sidecar's row.
struct Registration {
    database: Database,
    statements: Arc<Statements>,
    id: String,
    address: String,
    app_id: String,
    removed: CancellationToken,
}

impl Registration {
    async fn add(&self) -> Result<()> {
        self.change(sqlx::query(self.statements.add.clone()).bind(&self.id).bind(&self.address).bind(&self.app_id))
            .await
            .map(drop)
            .map_err(|error| error.context("failed to register host"))
    }

    /// Renews the row. One that was lost is made again: daprd ends itself then, but the row may just have been swept
    /// away while this machine slept.
    async fn renew(&self) -> Result<()> {
        let renewed = sqlx::query(self.statements.renew.clone()).bind(&self.id).bind(&self.address);
        if self.change(renewed).await? == 0 && !self.removed.is_cancelled() {
            tracing::error!("Host registration lost, registering again");
            self.add().await?;
        }
        Ok(())
    }

    async fn change(&self, query: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>) -> Result<u64> {
        self.database
            .timed(async { Ok(query.execute(self.database.writer()).await.map_err(error)?.rows_affected()) })
            .await
    }
}

async fn renew(registration: Arc<Registration>, every: Duration, token: CancellationToken) {
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            () = registration.removed.cancelled() => return,
            () = tokio::time::sleep(every) => (),
        }
        if let Err(failure) = registration.renew().await {
            tracing::error!("Failed to update host registration: {failure}");
        }
    }
}

struct SqliteResolver {
    registration: Arc<Registration>,
    renewal: Task,
    sweep: Option<Task>,
    /// Addresses found dead, each with the time of that in seconds since 1970.
    dead: Mutex<HashMap<String, i64>>,
}

#[async_trait]
impl Resolver for SqliteResolver {
    async fn resolve(&self, request: &ResolveRequest) -> Result<Vec<String>> {
        let database = &self.registration.database;
        let found: Vec<(String, i64)> = database
            .timed(async {
                sqlx::query_as(self.registration.statements.find.clone())
                    .bind(&request.app_id)
                    .fetch_all(database.reader())
                    .await
                    .map_err(error)
            })
            .await
            .map_err(|error| error.context("failed to look up address"))?;
        let dead = lock(&self.dead);
        let live = found.into_iter().filter(|(address, renewed)| dead.get(address).is_none_or(|dead| renewed > dead));
        let addresses: Vec<String> = live.map(|(address, _)| address).collect();
        if addresses.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, "no host found with the given ID"));
        }
        Ok(addresses)
    }

    /// Its row has to be renewed after now to count again.
    fn forget(&self, _app_id: &str, address: &str) {
        lock(&self.dead).insert(address.to_owned(), chrono::Utc::now().timestamp());
    }

    async fn unregister(&self) {
        let registration = &self.registration;
        if registration.removed.is_cancelled() {
            return;
        }
        registration.removed.cancel();
        self.renewal.stop().await;
        let remove =
            sqlx::query(registration.statements.remove.clone()).bind(&registration.id).bind(&registration.address);
        match registration.change(remove).await {
            Ok(0) => tracing::warn!("failed to unregister host: no row deleted"),
            Ok(_) => (),
            Err(failure) => tracing::warn!("failed to unregister host: {failure}"),
        }
    }

    async fn close(&self) {
        self.unregister().await;
        if let Some(sweep) = &self.sweep {
            sweep.stop().await;
        }
        self.registration.database.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(entries: &[(&str, &str)]) -> String {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(&Properties::new(entries)).err().expect("refused").message().to_owned()
    }

    #[test]
    fn wrong_options_are_refused_with_daprs_texts() {
        let file = ("connectionString", "a.db");
        assert_eq!(error_of(&[]), "missing connection string");
        assert_eq!(error_of(&[file, ("tableName", "a b")]), "invalid identifier for table name: a b");
        assert_eq!(
            error_of(&[file, ("updateInterval", "3500ms")]),
            "update interval must not contain fractions of seconds"
        );
        assert_eq!(
            error_of(&[file, ("updateInterval", "2"), ("timeout", "2")]),
            "update interval must be at least 1s greater than timeout"
        );
    }
}
