//! Redis: how daprd 1.18's components describe a server, and a client that hides the library behind it.
//!
//! Nothing outside of this folder knows which library speaks to the server.

mod client;
mod config;
mod tls;

pub use client::{Argument, Client, Connection, Error, Reply, Route, Script, slot};
pub use config::{Config, Kind, Mode, milliseconds};

/// Property names that every component on Redis understands.
pub const PROPERTIES: &[&str] = &[
    "redisHost",
    "redisPort",
    "redisUsername",
    "redisPassword",
    "redisDB",
    "redisType",
    "failover",
    "sentinelMasterName",
    "sentinelUsername",
    "sentinelPassword",
    "enableTLS",
    "insecureSkipTLSVerify",
    "clientCert",
    "clientKey",
    "redisMaxRetries",
    "redisMinRetryInterval",
    "redisMaxRetryInterval",
    "dialTimeout",
    "readTimeout",
    "writeTimeout",
    "poolSize",
    "poolTimeout",
    "maxConnAge",
    "minIdleConns",
    "idleCheckFrequency",
    "idleTimeout",
    "useEntraID",
    "useAzureAD",
    "useOIDC",
];
