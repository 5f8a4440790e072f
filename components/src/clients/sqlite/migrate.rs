//! Schema levels in a metadata table, as daprd 1.18 keeps them: several sidecars may start on one file.

use sqlx::{SqlStr, Sqlite, Transaction};

use super::pool::{Database, error, sql};
use crate::{Error, Result};

/// Brings the schema to the level `migrations.len()`, in one exclusive transaction.
///
/// `metadata_table` (a checked identifier) is made when it is missing; its row `key` holds the level reached.
pub async fn migrate(database: &Database, metadata_table: &str, key: &str, migrations: &[SqlStr]) -> Result<()> {
    run(database, metadata_table, key, migrations).await.map_err(|error| error.context("failed to perform migrations"))
}

async fn run(database: &Database, metadata_table: &str, key: &str, migrations: &[SqlStr]) -> Result<()> {
    let failed = |what: &'static str| move |failure| error(failure).context(what);
    let mut transaction = database.begin_exclusive().await.map_err(failed("failed to begin transaction"))?;
    let table =
        format!("CREATE TABLE IF NOT EXISTS {metadata_table} (key text NOT NULL PRIMARY KEY, value text NOT NULL)");
    sqlx::query(sql(table))
        .execute(&mut *transaction)
        .await
        .map_err(failed("failed to ensure metadata table exists: failed to create metadata table"))?;
    let level = level(&mut transaction, metadata_table, key).await?;
    for (number, migration) in migrations.iter().enumerate().skip(level) {
        tracing::info!("Performing migration {}", number + 1);
        sqlx::raw_sql(migration.clone())
            .execute(&mut *transaction)
            .await
            .map_err(|failure| error(failure).context(format!("failed to perform migration {number}")))?;
        sqlx::query(sql(format!("REPLACE INTO {metadata_table} (key, value) VALUES (?, ?)")))
            .bind(key)
            .bind((number + 1).to_string())
            .execute(&mut *transaction)
            .await
            .map_err(failed("failed to update migration level in metadata table"))?;
    }
    transaction.commit().await.map_err(failed("failed to commit transaction"))
}

/// The level reached so far; a level beyond what we know was made by a later version and is left alone.
async fn level(transaction: &mut Transaction<'static, Sqlite>, metadata_table: &str, key: &str) -> Result<usize> {
    let stored: Option<String> = sqlx::query_scalar(sql(format!("SELECT value FROM {metadata_table} WHERE key = ?")))
        .bind(key)
        .fetch_optional(&mut **transaction)
        .await
        .map_err(|failure| error(failure).context("failed to read migration level"))?;
    match stored {
        None => Ok(0),
        Some(text) => {
            text.parse().map_err(|_| Error::other(format!("invalid migration level found in metadata table: {text}")))
        }
    }
}
