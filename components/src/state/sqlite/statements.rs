//! The statements of `state.sqlite`, made once for its table.
//!
//! Times are texts in SQLite's own form (`YYYY-MM-DD HH:MM:SS`, UTC), so they compare as texts.

use sqlx::SqlStr;

use crate::clients::sqlite::sql;

const LIVE: &str = "(expiration_time IS NULL OR expiration_time > CURRENT_TIMESTAMP)";

/// When a value written now ends; the parameter is its seconds to live or NULL.
const EXPIRATION: &str = "DATETIME(CURRENT_TIMESTAMP, ? || ' seconds')";

pub(super) struct Statements {
    pub(super) create: SqlStr,
    pub(super) get: SqlStr,
    /// All of a JSON array of keys.
    pub(super) get_many: SqlStr,
    pub(super) set: SqlStr,
    /// Only where no live value is; changes no row otherwise.
    pub(super) insert: SqlStr,
    /// Only where the ETag is the given one; changes no row otherwise.
    pub(super) update: SqlStr,
    pub(super) delete: SqlStr,
    pub(super) delete_matching: SqlStr,
    pub(super) keys_like: SqlStr,
    pub(super) delete_expired: SqlStr,
}

impl Statements {
    /// `table` is a checked identifier.
    pub(super) fn new(table: &str) -> Self {
        let columns = "key, value, is_binary, etag, unixepoch(expiration_time)";
        let insert = format!(
            "INSERT INTO {table} (key, value, is_binary, etag, expiration_time, update_time)
             VALUES (?, ?, ?, ?, {EXPIRATION}, CURRENT_TIMESTAMP)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, is_binary = excluded.is_binary,
                etag = excluded.etag, expiration_time = excluded.expiration_time, update_time = excluded.update_time"
        );
        Self {
            create: sql(format!(
                "CREATE TABLE IF NOT EXISTS {table} (
                    key TEXT NOT NULL PRIMARY KEY,
                    value TEXT NOT NULL,
                    is_binary BOOLEAN NOT NULL,
                    etag TEXT NOT NULL,
                    expiration_time TIMESTAMP DEFAULT NULL,
                    update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
                )"
            )),
            get: sql(format!("SELECT {columns} FROM {table} WHERE key = ? AND {LIVE}")),
            get_many: sql(format!(
                "SELECT {columns} FROM {table} WHERE key IN (SELECT value FROM json_each(?)) AND {LIVE} ORDER BY key"
            )),
            insert: sql(format!("{insert} WHERE expiration_time <= CURRENT_TIMESTAMP")),
            set: sql(insert),
            update: sql(format!(
                "UPDATE {table} SET value = ?, is_binary = ?, etag = ?, expiration_time = {EXPIRATION},
                    update_time = CURRENT_TIMESTAMP
                 WHERE key = ? AND etag = ? AND {LIVE}"
            )),
            delete: sql(format!("DELETE FROM {table} WHERE key = ?")),
            delete_matching: sql(format!("DELETE FROM {table} WHERE key = ? AND etag = ?")),
            // GLOB, since LIKE does not tell upper from lower case.
            keys_like: sql(format!(
                "SELECT key, rowid FROM {table} WHERE key GLOB ? AND {LIVE} AND rowid > ? ORDER BY rowid LIMIT ?"
            )),
            delete_expired: sql(format!(
                "DELETE FROM {table} WHERE expiration_time IS NOT NULL AND expiration_time < CURRENT_TIMESTAMP"
            )),
        }
    }
}
