//! The connection string and its companions.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use sqlx::{ConnectOptions, SqlSafeStr};

use crate::metadata::Properties;
use crate::{Error, Result};

/// The time for one request to the file, unless `timeout` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a request waits for another process to let go of the file, unless `busyTimeout` says otherwise.
const DEFAULT_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What the components' metadata says about a SQLite file.
#[derive(Debug, Clone)]
pub struct Config {
    /// `connectionString` (alias `url`): a path, `file:<path>?<parameters>` or `:memory:`.
    pub connection_string: String,
    /// `timeout` (alias `timeoutInSeconds`): the time for one request; at least one second.
    pub timeout: Duration,
    /// `busyTimeout`: zero and negative values mean not to wait at all.
    pub busy_timeout: Duration,
    /// `disableWAL`: needed on network file systems.
    pub disable_wal: bool,
}

/// Where the database is and how it is opened.
#[derive(Debug, Clone)]
pub struct Location {
    pub(super) options: SqliteConnectOptions,
    pub(super) journal_mode: SqliteJournalMode,
    /// The statement that opens a transaction.
    pub(super) begin: &'static str,
    /// Lives in the process only: there can be just one connection.
    pub in_memory: bool,
}

impl Config {
    /// Reads and checks the options, with daprd's texts.
    pub fn read(properties: &Properties) -> Result<Self> {
        Self::read_with_defaults(properties, DEFAULT_TIMEOUT, DEFAULT_BUSY_TIMEOUT)
    }

    /// As [`Config::read`], for a component with other defaults.
    pub fn read_with_defaults(properties: &Properties, timeout: Duration, busy_timeout: Duration) -> Result<Self> {
        let config = Self {
            connection_string: properties.get(&["connectionString", "url"]).unwrap_or_default().to_owned(),
            timeout: properties.interval(&["timeout", "timeoutInSeconds"])?.unwrap_or(timeout),
            busy_timeout: properties.interval(&["busyTimeout"])?.unwrap_or(busy_timeout),
            disable_wal: properties.flag(&["disableWAL"]).unwrap_or_default(),
        };
        if config.connection_string.is_empty() {
            return Err(Error::config("missing connection string"));
        }
        if config.timeout < Duration::from_secs(1) {
            return Err(Error::config("invalid value for 'timeout': must be greater than 1s"));
        }
        Ok(config)
    }

    /// Takes the connection string apart.
    ///
    /// Parameters of SQLite itself (`mode`, `cache`, `immutable`, `vfs`, ...) pass through; `_pragma` and `_txlock` are
    /// read here as daprd's driver reads them, and other names that begin with `_` concern only that driver.
    pub fn location(&self) -> Result<Location> {
        let (path, query) = self.connection_string.split_once('?').unwrap_or((&self.connection_string, ""));
        let lower = path.to_ascii_lowercase();
        let mut in_memory = lower.starts_with(":memory:") || lower.starts_with("file::memory:");
        let mut read_only = false;
        let mut begin = "BEGIN IMMEDIATE";
        let mut passed_on = Vec::new();
        let mut pragmas = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_pragma" => pragmas.push(pragma(&decode(value)?)?),
                "_txlock" => begin = begin_statement(&decode(value)?)?,
                _ if name.starts_with('_') => (),
                _ => {
                    read_only |= (name, value) == ("mode", "ro") || (name, value) == ("immutable", "1");
                    in_memory |= (name, value) == ("mode", "memory");
                    // In daprd's one connection sees what the other wrote; here there is only one to begin with.
                    if !(in_memory && name == "cache") {
                        passed_on.push(pair);
                    }
                }
            }
        }
        let mut filename = if lower.starts_with("file:") { path.to_owned() } else { format!("file:{path}") };
        if !passed_on.is_empty() {
            filename = format!("{filename}?{}", passed_on.join("&"));
        }
        let mut options = SqliteConnectOptions::new()
            .filename(filename)
            .create_if_missing(true)
            // SQLite takes an i32 of milliseconds.
            .busy_timeout(self.busy_timeout.min(Duration::from_millis(i32::MAX as u64)))
            .foreign_keys(false)
            .disable_statement_logging();
        for (name, value) in pragmas {
            options = options.pragma(name, value);
        }
        let journal_mode = if in_memory {
            SqliteJournalMode::Memory
        } else if self.disable_wal || read_only {
            SqliteJournalMode::Delete
        } else {
            SqliteJournalMode::Wal
        };
        Ok(Location { options, journal_mode, begin, in_memory })
    }
}

/// Checks a table name: ASCII letters, digits and `_`, as in daprd. Only such names may become part of a statement.
pub fn identifier(name: &str) -> Result<&str> {
    if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok(name)
    } else {
        Err(Error::config(format!("invalid identifier: {name}")))
    }
}

fn begin_statement(lock: &str) -> Result<&'static str> {
    match lock.to_ascii_lowercase().as_str() {
        "immediate" => Ok("BEGIN IMMEDIATE"),
        "exclusive" => Ok("BEGIN EXCLUSIVE"),
        "deferred" => {
            tracing::warn!(
                "Database connection is being created with a _txlock different from the recommended value 'immediate'"
            );
            Ok("BEGIN DEFERRED")
        }
        _ => Err(Error::config(format!(
            "invalid option '_txlock={lock}' in the connection string: must be immediate, exclusive or deferred"
        ))),
    }
}

/// `name(value)` or `name=value`; the names that have a property of their own are refused.
fn pragma(text: &str) -> Result<(String, String)> {
    let lower = text.to_ascii_lowercase();
    for forbidden in ["busy_timeout", "journal_mode", "foreign_keys"] {
        if lower.starts_with(forbidden) {
            return Err(Error::config(format!(
                "found forbidden option '_pragma={forbidden}' in the connection string"
            )));
        }
    }
    let parts = match text.strip_suffix(')').and_then(|text| text.split_once('(')) {
        Some(parts) => Some(parts),
        None => text.split_once('='),
    };
    let is_plain = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
    };
    match parts {
        Some((name, value)) if is_plain(name.trim()) && is_plain(value.trim()) => {
            Ok((name.trim().to_owned(), value.trim().to_owned()))
        }
        _ => Err(Error::config(format!("invalid option '_pragma={text}' in the connection string"))),
    }
}

/// Decodes `%XX` and `+` of a query value.
fn decode(text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        (bytes, rest) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => {
                let hex = std::str::from_utf8(&[*high, *low]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.push(hex.ok_or_else(|| bad_escape(text))?);
                (bytes, tail)
            }
            (b'%', _) => return Err(bad_escape(text)),
            (b'+', tail) => {
                bytes.push(b' ');
                (bytes, tail)
            }
            (byte, tail) => {
                bytes.push(*byte);
                (bytes, tail)
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| bad_escape(text))
}

fn bad_escape(text: &str) -> Error {
    Error::config(format!("invalid escape in the connection string's parameter '{text}'"))
}

impl Location {
    /// The statement that opens a transaction.
    pub(super) fn begin(&self) -> impl SqlSafeStr {
        self.begin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(connection_string: &str) -> Result<Location> {
        let entry = ("connectionString".to_owned(), connection_string.to_owned());
        Config::read(&Properties::new([entry]))?.location()
    }

    #[test]
    fn defaults_are_daprs() {
        let config = Config::read(&Properties::new([("url".into(), "data.db".into())])).unwrap();
        assert_eq!(config.timeout, Duration::from_secs(20));
        assert_eq!(config.busy_timeout, Duration::from_secs(2));
        assert!(!config.disable_wal);
    }

    #[test]
    fn wrong_options_are_refused_with_daprs_texts() {
        let message = |entries: &[(&str, &str)]| {
            let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Config::read(&Properties::new(entries)).unwrap_err().message().to_owned()
        };
        assert_eq!(message(&[]), "missing connection string");
        assert_eq!(
            message(&[("connectionString", "a.db"), ("timeout", "500ms")]),
            "invalid value for 'timeout': must be greater than 1s"
        );
        for pragma in ["busy_timeout(1000)", "journal_mode(DELETE)", "foreign_keys(1)"] {
            let error = location(&format!("file:a.db?_pragma={pragma}")).unwrap_err();
            let name = pragma.split_once('(').unwrap().0;
            assert_eq!(error.message(), format!("found forbidden option '_pragma={name}' in the connection string"));
        }
        assert!(location("a.db?_pragma=cache_size(1);DROP").is_err());
        assert!(location("a.db?_txlock=whatever").is_err());
    }

    #[test]
    fn names_are_files_and_parameters_are_sorted_out() {
        let found =
            location("data.db?mode=rwc&_pragma=cache_size%28-2000%29&_txlock=exclusive&_time_format=sqlite").unwrap();
        assert_eq!(found.options.get_filename().to_str(), Some("file:data.db?mode=rwc"));
        assert_eq!(found.begin, "BEGIN EXCLUSIVE");
        assert!(matches!(found.journal_mode, SqliteJournalMode::Wal));
        assert!(!found.in_memory);
    }

    #[test]
    fn a_database_in_memory_is_private_to_its_component() {
        for text in [":memory:", "file::memory:?cache=shared"] {
            let found = location(text).unwrap();
            assert_eq!(found.options.get_filename().to_str(), Some("file::memory:"));
            assert!(found.in_memory);
        }
    }

    #[test]
    fn a_read_only_file_gets_no_wal() {
        for text in ["a.db?mode=ro", "file:a.db?immutable=1"] {
            assert!(matches!(location(text).unwrap().journal_mode, SqliteJournalMode::Delete));
        }
    }

    #[test]
    fn identifiers_are_plain_ascii() {
        assert!(identifier("State_1").is_ok());
        for bad in ["", "a b", "a;", "ä"] {
            assert_eq!(identifier(bad).unwrap_err().message(), format!("invalid identifier: {bad}"));
        }
    }
}
