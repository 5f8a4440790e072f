//! Options of `state.sqlite`.

use std::time::Duration;

use crate::Result;
use crate::clients::sqlite::{self, identifier};
use crate::metadata::Properties;

pub const PROPERTIES: &[&str] = &[
    "connectionString",
    "url",
    "timeout",
    "timeoutInSeconds",
    "busyTimeout",
    "disableWAL",
    "tableName",
    "metadataTableName",
    "cleanupInterval",
    "cleanupIntervalInSeconds",
];

/// What the metadata says.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) file: sqlite::Config,
    /// `tableName`, by default `state`.
    pub(super) table: String,
    /// `metadataTableName`, by default `metadata`.
    pub(super) metadata_table: String,
    /// `cleanupInterval` (alias `cleanupIntervalInSeconds`); off by default and at zero or less.
    pub(super) cleanup_interval: Option<Duration>,
}

impl Config {
    pub(super) fn read(properties: &Properties) -> Result<Self> {
        let file = sqlite::Config::read(properties)?;
        let name = |property: &str, default: &str| -> Result<String> {
            // A property that is there but empty is not the default: daprd refuses it too.
            Ok(identifier(properties.get(&[property]).unwrap_or(default))?.to_owned())
        };
        Ok(Self {
            file,
            table: name("tableName", "state")?,
            metadata_table: name("metadataTableName", "metadata")?,
            cleanup_interval: properties
                .interval(&["cleanupInterval", "cleanupIntervalInSeconds"])?
                .filter(|interval| !interval.is_zero()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Config> {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(&Properties::new(entries))
    }

    #[test]
    fn tables_and_cleanup_have_daprs_defaults() {
        let config = read(&[("connectionString", "a.db")]).unwrap();
        assert_eq!((config.table.as_str(), config.metadata_table.as_str()), ("state", "metadata"));
        assert_eq!(config.cleanup_interval, None);
    }

    #[test]
    fn cleanup_is_off_at_zero_and_below() {
        for (text, expected) in [("0", None), ("-1", None), ("90", Some(90)), ("1m", Some(60))] {
            let config = read(&[("url", "a.db"), ("cleanupInterval", text)]).unwrap();
            assert_eq!(config.cleanup_interval, expected.map(Duration::from_secs));
        }
    }

    #[test]
    fn a_table_name_cannot_carry_a_statement() {
        let error = read(&[("connectionString", "a.db"), ("tableName", "bad name;")]).unwrap_err();
        assert_eq!(error.message(), "invalid identifier: bad name;");
    }
}
