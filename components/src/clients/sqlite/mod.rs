//! SQLite files: how daprd 1.18's components describe one, and a pair of pools on it.

mod config;
mod migrate;
mod pool;
mod sweep;

pub use config::{Config, Location, identifier};
pub use migrate::migrate;
pub use pool::{Database, error, sql};
pub use sweep::{Sweep, sweep_regularly};

/// Property names of [`Config`], aliases included.
pub const PROPERTIES: &[&str] =
    &["connectionString", "url", "timeout", "timeoutInSeconds", "busyTimeout", "disableWAL"];
