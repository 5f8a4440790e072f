//! Tables and statements.
//!
//! `subscriptions`: a group's interest in a topic. `messages`: what some group still has to take. `deliveries`: one row
//! for each message and subscription that has not taken it. A delivery may be taken from its `due` time on; whoever
//! takes it moves that time behind the end of the lease and writes its name into `owner`. Times are milliseconds since
//! 1970.

use sqlx::SqlStr;

use crate::clients::sqlite::sql;

pub(super) struct Statements {
    pub(super) migrations: Vec<SqlStr>,
    /// topic, consumer, now -> id. Refreshes the time at which the group was last seen.
    pub(super) register: SqlStr,
    /// topic, data, metadata, published, expires; inserts nothing when no group is interested.
    pub(super) publish: SqlStr,
    /// message, due, topic -> subscription
    pub(super) fan_out: SqlStr,
    /// subscription -> due
    pub(super) next_due: SqlStr,
    /// owner, end of lease, subscription, now, limit -> message, failures
    pub(super) claim: SqlStr,
    /// JSON array of messages, now -> id, data, metadata; those that have not ended
    pub(super) read: SqlStr,
    /// subscription, JSON array of messages
    pub(super) take: SqlStr,
    /// JSON array of messages
    pub(super) delete_taken: SqlStr,
    /// due, failures to add, subscription, JSON array of messages, owner
    pub(super) put_back: SqlStr,
    /// end of lease, owner, JSON array of messages
    pub(super) renew: SqlStr,
    /// -> owner
    pub(super) owners: SqlStr,
    /// due, owner -> subscription
    pub(super) bury: SqlStr,
    /// now, oldest time to keep
    pub(super) end_deliveries: SqlStr,
    /// now, oldest time to keep
    pub(super) end_messages: SqlStr,
    /// JSON array of subscriptions, now
    pub(super) seen: SqlStr,
    /// oldest time to keep
    pub(super) end_groups: SqlStr,
    pub(super) end_groupless: SqlStr,
    pub(super) end_orphans: SqlStr,
}

impl Statements {
    /// `prefix` is empty or a checked identifier.
    pub(super) fn new(prefix: &str) -> Self {
        let (messages, subscriptions, deliveries) =
            (format!("{prefix}messages"), format!("{prefix}subscriptions"), format!("{prefix}deliveries"));
        let ended = "(expires <= ?1 OR published < ?2)";
        Self {
            migrations: vec![sql(format!(
                "CREATE TABLE {subscriptions} (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    topic TEXT NOT NULL,
                    consumer TEXT NOT NULL,
                    seen INTEGER NOT NULL,
                    UNIQUE (topic, consumer)
                );
                CREATE TABLE {messages} (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    topic TEXT NOT NULL,
                    data BLOB NOT NULL,
                    metadata TEXT NOT NULL,
                    published INTEGER NOT NULL,
                    expires INTEGER
                );
                CREATE INDEX {messages}_published ON {messages} (published);
                CREATE INDEX {messages}_expires ON {messages} (expires) WHERE expires IS NOT NULL;
                CREATE TABLE {deliveries} (
                    message INTEGER NOT NULL,
                    subscription INTEGER NOT NULL,
                    due INTEGER NOT NULL,
                    failures INTEGER NOT NULL DEFAULT 0,
                    owner TEXT,
                    PRIMARY KEY (message, subscription)
                ) WITHOUT ROWID;
                CREATE INDEX {deliveries}_due ON {deliveries} (subscription, due, message);
                CREATE INDEX {deliveries}_owner ON {deliveries} (owner) WHERE owner IS NOT NULL"
            ))],
            register: sql(format!(
                "INSERT INTO {subscriptions} (topic, consumer, seen) VALUES (?, ?, ?)
                 ON CONFLICT (topic, consumer) DO UPDATE SET seen = excluded.seen RETURNING id"
            )),
            publish: sql(format!(
                "INSERT INTO {messages} (topic, data, metadata, published, expires)
                 SELECT ?1, ?2, ?3, ?4, ?5 WHERE EXISTS (SELECT 1 FROM {subscriptions} WHERE topic = ?1)"
            )),
            fan_out: sql(format!(
                "INSERT INTO {deliveries} (message, subscription, due)
                 SELECT ?, id, ? FROM {subscriptions} WHERE topic = ? RETURNING subscription"
            )),
            next_due: sql(format!("SELECT due FROM {deliveries} WHERE subscription = ? ORDER BY due LIMIT 1")),
            claim: sql(format!(
                "UPDATE {deliveries} SET owner = ?1, due = ?2
                 WHERE subscription = ?3 AND message IN (
                    SELECT message FROM {deliveries} WHERE subscription = ?3 AND due <= ?4
                    ORDER BY due, message LIMIT ?5)
                 RETURNING message, failures"
            )),
            read: sql(format!(
                "SELECT id, data, metadata FROM {messages} WHERE id IN (SELECT value FROM json_each(?))
                    AND (expires IS NULL OR expires > ?) ORDER BY id"
            )),
            take: sql(format!(
                "DELETE FROM {deliveries} WHERE subscription = ? AND message IN (SELECT value FROM json_each(?))"
            )),
            delete_taken: sql(format!(
                "DELETE FROM {messages} WHERE id IN (SELECT value FROM json_each(?))
                    AND NOT EXISTS (SELECT 1 FROM {deliveries} WHERE message = {messages}.id)"
            )),
            put_back: sql(format!(
                "UPDATE {deliveries} SET owner = NULL, due = ?, failures = failures + ?
                 WHERE subscription = ? AND message IN (SELECT value FROM json_each(?)) AND owner = ?"
            )),
            renew: sql(format!(
                "UPDATE {deliveries} SET due = ? WHERE owner = ? AND message IN (SELECT value FROM json_each(?))"
            )),
            owners: sql(format!("SELECT DISTINCT owner FROM {deliveries} WHERE owner IS NOT NULL")),
            bury: sql(format!("UPDATE {deliveries} SET owner = NULL, due = ? WHERE owner = ? RETURNING subscription")),
            end_deliveries: sql(format!(
                "DELETE FROM {deliveries} WHERE message IN (SELECT id FROM {messages} WHERE {ended})"
            )),
            end_messages: sql(format!("DELETE FROM {messages} WHERE {ended}")),
            seen: sql(format!("UPDATE {subscriptions} SET seen = ?2 WHERE id IN (SELECT value FROM json_each(?1))")),
            end_groups: sql(format!("DELETE FROM {subscriptions} WHERE seen < ?")),
            end_groupless: sql(format!(
                "DELETE FROM {deliveries} WHERE subscription NOT IN (SELECT id FROM {subscriptions})"
            )),
            end_orphans: sql(format!(
                "DELETE FROM {messages} WHERE NOT EXISTS (SELECT 1 FROM {deliveries} WHERE message = {messages}.id)"
            )),
        }
    }
}
