//! Options of `pubsub.sqlite`.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::clients::sqlite::{self, identifier};
use crate::metadata::Properties;
use crate::pubsub::redelivery::Redelivery;

pub const PROPERTIES: &[&str] = &[
    "connectionString",
    "url",
    "timeout",
    "timeoutInSeconds",
    "busyTimeout",
    "disableWAL",
    "consumerID",
    "tablePrefix",
    "concurrency",
    "redeliverInterval",
    "retention",
];

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// Several processes write to the file all the time, so waiting for it is nothing unusual.
const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const DEFAULT_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);

/// What the metadata says.
#[derive(Debug)]
pub(super) struct Config {
    /// `connectionString` (alias `url`), `timeout`, `busyTimeout` and `disableWAL`, as for `state.sqlite`.
    pub(super) file: sqlite::Config,
    /// `consumerID`: the group; by default the app id.
    pub(super) consumer: String,
    /// `tablePrefix`: before the names of all tables, by default `pubsub_`.
    pub(super) table_prefix: String,
    /// `concurrency`: handlers at a time, by default 10. More than one gives up the order of messages.
    pub(super) concurrency: usize,
    /// `redeliverInterval`: the pause before a message that the application wants to see again is offered again, by
    /// default seven seconds.
    pub(super) again: Redelivery,
    /// `retention`: how long a message is kept for groups that do not take it, and a group that nobody joins; by default
    /// seven days. Zero or less: for ever.
    pub(super) retention: Option<Duration>,
}

impl Config {
    pub(super) fn read(properties: &Properties, app_id: &str) -> Result<Self> {
        let prefix = properties.get(&["tablePrefix"]).unwrap_or("pubsub_");
        if !prefix.is_empty() {
            identifier(prefix)?;
        }
        let retention = properties.interval(&["retention"])?.unwrap_or(DEFAULT_RETENTION);
        let again = Redelivery::default();
        let pause = properties.interval(&["redeliverInterval"])?.unwrap_or(again.pause);
        Ok(Self {
            again: Redelivery { pause, ..again },
            file: sqlite::Config::read_with_defaults(properties, DEFAULT_TIMEOUT, DEFAULT_BUSY_TIMEOUT)?,
            consumer: properties.get(&["consumerID"]).filter(|text| !text.is_empty()).unwrap_or(app_id).to_owned(),
            table_prefix: prefix.to_owned(),
            concurrency: properties.number(&["concurrency"])?.unwrap_or(10).max(1),
            retention: (!retention.is_zero()).then_some(retention),
        })
    }

    /// The path of the file; none for a database in memory.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let text = self.file.connection_string.split('?').next().unwrap_or_default();
        let path = text.strip_prefix("file:").unwrap_or(text);
        let path = path.strip_prefix("//").unwrap_or(path);
        let in_memory = self.file.location().is_ok_and(|location| location.in_memory);
        (!in_memory && !path.is_empty()).then(|| PathBuf::from(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Config {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(&Properties::new(entries), "app").unwrap()
    }

    #[test]
    fn the_group_is_the_app_unless_named() {
        assert_eq!(read(&[("url", "a.db")]).consumer, "app");
        assert_eq!(read(&[("url", "a.db"), ("consumerID", "c")]).consumer, "c");
    }

    #[test]
    fn the_path_is_what_the_connection_string_names() {
        for text in ["/x/a.db", "file:/x/a.db?mode=rwc", "file:///x/a.db"] {
            assert_eq!(read(&[("connectionString", text)]).path(), Some("/x/a.db".into()), "{text}");
        }
        for text in [":memory:", "file::memory:", "file:x?mode=memory"] {
            assert_eq!(read(&[("connectionString", text)]).path(), None, "{text}");
        }
    }

    #[test]
    fn retention_can_be_switched_off() {
        assert_eq!(read(&[("url", "a.db"), ("retention", "0")]).retention, None);
        assert_eq!(read(&[("url", "a.db"), ("retention", "1h")]).retention, Some(Duration::from_secs(3600)));
    }
}
