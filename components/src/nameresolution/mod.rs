//! Name resolution: app ids to addresses of sidecars.

pub mod default;
pub mod local;
pub mod mdns;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::fmt::Display;

use async_trait::async_trait;

use crate::Result;

#[derive(Debug, Clone, Default)]
pub struct ResolveRequest {
    pub app_id: String,
    pub namespace: String,
    /// The caller's internal port; what templates may use.
    pub port: u16,
}

/// A name resolver. A sidecar's own registration is made by `build` and ended by [`Resolver::unregister`].
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All known addresses (`host:port`, or `unix:` and a path), the one to try first in front. Never empty: an unknown id
    /// is [`crate::ErrorKind::NotFound`].
    async fn resolve(&self, request: &ResolveRequest) -> Result<Vec<String>>;

    /// The caller found `address` dead: it must not be offered again before it was seen alive anew.
    fn forget(&self, _app_id: &str, _address: &str) {}

    /// Takes this sidecar's own name back. Returns when peers can know it.
    async fn unregister(&self) {}

    async fn close(&self) {}
}

/// `host:port`, with an IPv6 address in brackets.
pub(crate) fn host_port(host: impl Display, port: u16) -> String {
    let host = host.to_string();
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
