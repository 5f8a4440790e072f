//! Regular removal of rows that have ended, done by one of the processes that share a file.

use std::time::Duration;

use sqlx::SqlStr;

use super::pool::{Database, error, sql};
use crate::Result;
use crate::task::Task;

/// What to remove, and how the processes agree on who does it.
pub struct Sweep {
    pub every: Duration,
    /// Checked identifier of the metadata table.
    pub metadata_table: String,
    /// The row of the metadata table that holds the time of the last sweep.
    pub key: &'static str,
    /// The statement that removes.
    pub delete: SqlStr,
}

/// Sweeps at each interval until the task is stopped.
pub fn sweep_regularly(database: Database, sweep: Sweep) -> Task {
    Task::spawn(|token| async move {
        tracing::info!("Schedule expired data clean up every {:?}", sweep.every);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = tokio::time::sleep(sweep.every) => (),
            }
            match sweep.run(&database).await {
                Ok(Some(removed)) => tracing::info!("Removed {removed} expired rows"),
                Ok(None) => tracing::debug!("Last cleanup was performed too recently"),
                Err(failure) => tracing::error!("Error removing expired data: {failure}"),
            }
        }
    })
}

impl Sweep {
    /// Removes what has ended, unless another process did so within the interval.
    async fn run(&self, database: &Database) -> Result<Option<u64>> {
        // A little less than the interval, so that timers which fire early do not skip a turn.
        let interval = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX) - 100;
        let claim = sql(format!(
            "INSERT INTO {} (key, value) VALUES (?, CURRENT_TIMESTAMP)
             ON CONFLICT (key) DO UPDATE SET value = CURRENT_TIMESTAMP
             WHERE (unixepoch(CURRENT_TIMESTAMP) - unixepoch(value)) * 1000 > ?",
            self.metadata_table
        ));
        let claimed = sqlx::query(claim)
            .bind(self.key)
            .bind(interval)
            .execute(database.writer())
            .await
            .map_err(|failure| error(failure).context("failed to read last cleanup time from database"))?;
        if claimed.rows_affected() == 0 {
            return Ok(None);
        }
        let removed = sqlx::query(self.delete.clone())
            .execute(database.writer())
            .await
            .map_err(|failure| error(failure).context("failed to execute query"))?;
        Ok(Some(removed.rows_affected()))
    }
}
