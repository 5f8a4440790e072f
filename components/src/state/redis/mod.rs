//! `state.redis`: each key a hash of `data` and `version`, as a daprd 1.18 reads and writes it.
//!
//! Where the server has RedisJSON, requests whose metadata says `contentType: application/json` use JSON documents
//! instead, also as in daprd. Its query API (RediSearch) is not offered: [`StateStore::features`] does not claim it.
//!
//! Unlike daprd's, a transaction changes nothing when one of its ETags does not match: the script that writes compares
//! them all first. In a cluster that holds for the keys of each slot, not across slots.
//!
//! [`StateStore::features`]: super::StateStore::features

mod script;
mod store;

use std::sync::Arc;

use crate::clients::redis::{Client, Config, Kind, Route};
use crate::component::{Built, InitContext, Spec};
use crate::{Error, Result};
use store::RedisStore;

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
    "maxRetries",
    "redisMinRetryInterval",
    "maxRetryBackoff",
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
    "ttlInSeconds",
    "queryIndexes",
];

/// Connects and learns what the server can do.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let config = Config::read(&spec.properties, Kind::State)?;
    let default_ttl = spec.properties.number(&["ttlInSeconds"])?;
    if spec.properties.get(&["queryIndexes"]).is_some_and(|text| !text.is_empty()) {
        tracing::warn!(
            "state.redis {}: queryIndexes has no effect, this store does not offer the query API",
            spec.name
        );
    }
    let unreachable = |error: &dyn std::fmt::Display| {
        format!("redis store: error connecting to redis at {}: {error}", config.address())
    };
    let client =
        Client::connect(&config).await.map_err(|error| Error::new(error.kind().clone(), unreachable(&error)))?;
    let info = client.call("INFO", Route::Any, vec!["replication".into()]).await?;
    let replicas = connected_replicas(&info.text().unwrap_or_default());
    // Without an argument the command fails in any case; an unknown one fails in its own way.
    let has_json = match client.call("JSON.GET", Route::Any, Vec::new()).await {
        Ok(_) => true,
        Err(error) => !error.to_string().to_ascii_lowercase().contains("unknown command"),
    };
    let script = client.load(script::WRITE).await;
    let store = RedisStore { client, address: config.address(), script, replicas, has_json, default_ttl };
    Ok(Built::State(Arc::new(store)))
}

/// The number in `connected_slaves:` of `INFO replication`.
fn connected_replicas(info: &str) -> i64 {
    info.lines()
        .find_map(|line| line.trim().strip_prefix("connected_slaves:"))
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_counted_by_the_server() {
        assert_eq!(connected_replicas("# Replication\r\nrole:master\r\nconnected_slaves:2\r\n"), 2);
        assert_eq!(connected_replicas("role:slave\r\n"), 0);
    }
}
