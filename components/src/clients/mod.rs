//! Connections that components of several kinds share.

#[cfg(feature = "sqlite")]
pub mod sqlite;
