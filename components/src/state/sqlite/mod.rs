//! `state.sqlite`: keys and values in one table of a SQLite file, which a daprd 1.18 can open too.

mod config;
mod statements;
mod store;

use std::sync::Arc;

use crate::Result;
use crate::clients::sqlite::{Database, Sweep, migrate, sweep_regularly};
use crate::component::{Built, InitContext, Spec};
use config::Config;
use statements::Statements;
use store::SqliteStore;

pub use config::PROPERTIES;

/// Opens the file, makes its tables and starts the removal of ended values.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let config = Config::read(&spec.properties)?;
    let database = Database::open(&config.file).await?;
    let statements = Statements::new(&config.table);
    migrate(&database, &config.metadata_table, "migrations", std::slice::from_ref(&statements.create)).await?;
    let sweep = config.cleanup_interval.map(|every| {
        let delete = statements.delete_expired.clone();
        let metadata_table = config.metadata_table.clone();
        sweep_regularly(database.clone(), Sweep { every, metadata_table, key: "last-cleanup", delete })
    });
    Ok(Built::State(Arc::new(SqliteStore::new(database, statements, sweep))))
}
