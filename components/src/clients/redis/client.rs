//! Commands and replies, whatever library carries them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fred::clients::{Client as FredClient, Pool};
use fred::interfaces::{ClientInterface, ClientLike, LuaInterface};
use fred::types::config::{ReconnectPolicy, ServerConfig, TlsConfig, UnresponsiveConfig};
use fred::types::{Builder, ClusterHash, CustomCommand, Value};

/// An argument of a command: made from texts, bytes and numbers.
pub use fred::types::Value as Argument;
use futures::StreamExt;

use super::config::{Config, Mode};
use super::tls::client_config;
use crate::ErrorKind;

/// Connections to a server, shared by all who call.
#[derive(Clone)]
pub struct Client {
    pool: Pool,
    clustered: bool,
}

/// What decides which node of a cluster gets a command.
#[derive(Debug, Clone, Copy)]
pub enum Route {
    /// The key is the argument at this place, counted from 0.
    Key(usize),
    Any,
}

/// Why a command failed: the server's or the library's text.
#[derive(Debug, Clone)]
pub struct Error {
    text: String,
    kind: ErrorKind,
}

impl Error {
    /// Whether the server answered with this error code (`WRONGTYPE`, `NOGROUP`, ...).
    pub fn is(&self, code: &str) -> bool {
        self.text.strip_prefix(code).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    }

    /// Whether the connection failed, and not the command.
    pub fn is_connection(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable | ErrorKind::Timeout)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind, error.text)
    }
}

impl From<fred::error::Error> for Error {
    fn from(error: fred::error::Error) -> Self {
        use fred::error::ErrorKind as Kind;
        let kind = match error.kind() {
            Kind::Timeout => ErrorKind::Timeout,
            Kind::IO
            | Kind::Canceled
            | Kind::Routing
            | Kind::Cluster
            | Kind::Sentinel
            | Kind::Tls
            | Kind::Backpressure => ErrorKind::Unavailable,
            Kind::Auth | Kind::Config | Kind::Url => ErrorKind::Config,
            _ => ErrorKind::Other,
        };
        Self { text: plain(error.details()), kind }
    }
}

/// Without the debugging form that fred gives an error of the system: `Os { code: 111, ..., message: "..." }`.
fn plain(details: &str) -> String {
    let Some(inner) = details.strip_prefix("Os { ") else { return details.to_owned() };
    let code = inner.strip_prefix("code: ").and_then(|rest| rest.split(',').next());
    let message = inner.split_once("message: \"").and_then(|(_, rest)| rest.strip_suffix("\" }"));
    match (code, message) {
        (Some(code), Some(message)) => format!("{message} (os error {code})"),
        _ => details.to_owned(),
    }
}

type Result<T> = std::result::Result<T, Error>;

/// A server's reply.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply(Value);

impl Reply {
    pub fn is_nil(&self) -> bool {
        self.0.is_null()
    }

    pub fn integer(&self) -> Option<i64> {
        self.0.as_i64()
    }

    /// A text or a blob.
    pub fn bytes(self) -> Option<Bytes> {
        match self.0 {
            Value::Bytes(bytes) => Some(bytes),
            Value::String(text) => Some(text.into_inner()),
            Value::Integer(number) => Some(Bytes::from(number.to_string())),
            _ => None,
        }
    }

    pub fn text(self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The elements of an array; nothing for nil.
    pub fn array(self) -> Vec<Self> {
        match self.0 {
            Value::Array(elements) => elements.into_iter().map(Self).collect(),
            Value::Map(map) => {
                map.inner().into_iter().flat_map(|(key, value)| [Self(key.into_bytes().into()), Self(value)]).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Client {
    /// Connects; fails when the server cannot be reached or refuses.
    pub async fn connect(config: &Config) -> crate::Result<Self> {
        Self::connect_with(config, config.connections, config.command_timeout).await
    }

    /// A client with one connection whose commands may block the server for up to `block`.
    pub async fn connect_blocking(config: &Config, block: Duration) -> crate::Result<Self> {
        let timeout = config.command_timeout.map(|timeout| timeout + block);
        Self::connect_with(config, 1, timeout).await
    }

    async fn connect_with(config: &Config, connections: usize, timeout: Option<Duration>) -> crate::Result<Self> {
        let server = match &config.mode {
            Mode::Node => {
                let (host, port) = config.hosts.first().cloned().unwrap_or_default();
                ServerConfig::new_centralized(host, port)
            }
            Mode::Cluster => ServerConfig::new_clustered(config.hosts.clone()),
            Mode::Sentinel { master, username, password } => ServerConfig::Sentinel {
                hosts: config.hosts.iter().map(|(host, port)| (host.clone(), *port).into()).collect(),
                service_name: master.clone(),
                username: username.clone(),
                password: password.as_ref().map(|password| password.reveal().to_owned()),
            },
        };
        let clustered = matches!(config.mode, Mode::Cluster);
        let settings = fred::types::config::Config {
            server,
            username: config.username.clone(),
            password: config.password.as_ref().map(|password| password.reveal().to_owned()),
            // A cluster has one database only.
            database: (!clustered && config.database != 0).then_some(config.database),
            tls: config.tls.as_ref().map(client_config).transpose()?.map(TlsConfig::from),
            ..Default::default()
        };
        let milliseconds = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        let policy =
            ReconnectPolicy::new_exponential(0, milliseconds(config.min_retry), milliseconds(config.max_retry), 2);
        let pool = Builder::from_config(settings)
            .with_connection_config(|connection| {
                connection.connection_timeout = config.dial_timeout;
                connection.internal_command_timeout = config.dial_timeout;
                connection.max_command_attempts = config.attempts;
                connection.reconnect_on_auth_error = true;
                connection.tcp.nodelay = Some(true);
                if let Some(timeout) = timeout {
                    // A connection that swallows commands is replaced, not only the commands given up.
                    let max_timeout = Some(timeout * 2);
                    connection.unresponsive = UnresponsiveConfig { max_timeout, interval: timeout };
                }
            })
            .with_performance_config(|performance| {
                performance.default_command_timeout = timeout.unwrap_or_default();
            })
            .set_policy(policy)
            .build_pool(connections)
            .map_err(Error::from)?;
        if let Err(error) = pool.init().await {
            // What had connected must not go on by itself.
            let _ = pool.quit().await;
            return Err(Error::from(error).into());
        }
        Ok(Self { pool, clustered })
    }

    pub fn is_clustered(&self) -> bool {
        self.clustered
    }

    /// One of the connections, for commands that depend on each other.
    pub fn connection(&self) -> Connection {
        Connection(self.pool.next().clone())
    }

    /// Sends a command.
    pub async fn call(&self, command: &'static str, route: Route, arguments: Vec<Argument>) -> Result<Reply> {
        self.connection().call(command, route, arguments).await
    }

    /// Sends a command that blocks its connection: only for clients of [`Client::connect_blocking`].
    pub async fn call_blocking(&self, command: &'static str, route: Route, arguments: Vec<Argument>) -> Result<Reply> {
        self.connection().send(command, hash(route), true, arguments).await
    }

    /// Ends a command of [`Client::call_blocking`] that waits: it answers nil.
    pub async fn unblock(&self) -> Result<()> {
        let flag = Some(fred::types::ClientUnblockFlag::Timeout);
        Ok(self.pool.next().unblock_self(flag).await?)
    }

    /// Runs a script by its hash, or by its text where the server does not know it yet. All keys are of one slot.
    pub async fn run(&self, script: &Script, keys: Vec<Bytes>, arguments: Vec<Argument>) -> Result<Reply> {
        self.connection().run(script, keys, arguments).await
    }

    /// Makes the server remember a script. One that will not is sent the text each time.
    pub async fn load(&self, text: &'static str) -> Script {
        let hash: std::result::Result<String, _> = self.pool.next().script_load(text).await;
        if let Err(error) = &hash {
            tracing::debug!("redis: SCRIPT LOAD failed, scripts are sent as text: {}", error.details());
        }
        Script { text, hash: hash.ok().map(Arc::from) }
    }

    /// All keys that match a glob, of all nodes.
    pub async fn scan(&self, glob: &str) -> Result<Vec<Bytes>> {
        let client = self.pool.next();
        let count = Some(1000);
        let mut keys = Vec::new();
        if self.clustered {
            let mut found = std::pin::pin!(client.scan_cluster_buffered(glob, count, None));
            while let Some(key) = found.next().await {
                keys.push(key?.into_bytes());
            }
        } else {
            let mut found = std::pin::pin!(client.scan_buffered(glob, count, None));
            while let Some(key) = found.next().await {
                keys.push(key?.into_bytes());
            }
        }
        Ok(keys)
    }

    pub async fn ping(&self) -> Result<()> {
        self.call("PING", Route::Any, Vec::new()).await.map(drop)
    }

    /// Lets the commands under way finish and ends the connections.
    pub async fn quit(&self) {
        if let Err(error) = self.pool.quit().await {
            tracing::debug!("redis: the connection did not end in order: {}", error.details());
        }
    }
}

/// A single connection (to each node of a cluster), still shared with other callers.
pub struct Connection(FredClient);

impl Connection {
    /// Sends a command.
    pub async fn call(&self, command: &'static str, route: Route, arguments: Vec<Argument>) -> Result<Reply> {
        self.send(command, hash(route), false, arguments).await
    }

    /// Sends a command to the node that has `key`.
    pub async fn call_near(&self, key: &[u8], command: &'static str, arguments: Vec<Argument>) -> Result<Reply> {
        self.send(command, ClusterHash::Custom(fred::util::redis_keyslot(key)), false, arguments).await
    }

    /// As [`Client::run`].
    pub async fn run(&self, script: &Script, keys: Vec<Bytes>, arguments: Vec<Argument>) -> Result<Reply> {
        let call = |first: Argument| {
            let mut all = Vec::with_capacity(2 + keys.len() + arguments.len());
            all.push(first);
            all.push(Argument::Integer(keys.len() as i64));
            all.extend(keys.iter().cloned().map(Argument::Bytes));
            all.extend(arguments.iter().cloned());
            all
        };
        if let Some(hash) = &script.hash {
            match self.call("EVALSHA", Route::Key(2), call(Argument::from(&**hash))).await {
                Err(error) if error.is("NOSCRIPT") => (),
                other => return other,
            }
        }
        self.call("EVAL", Route::Key(2), call(Argument::from(script.text))).await
    }

    async fn send(
        &self,
        command: &'static str,
        hash: ClusterHash,
        blocking: bool,
        arguments: Vec<Argument>,
    ) -> Result<Reply> {
        Ok(Reply(self.0.custom(CustomCommand::new_static(command, hash, blocking), arguments).await?))
    }
}

/// A Lua script, by the hash that servers know it by.
#[derive(Debug, Clone)]
pub struct Script {
    text: &'static str,
    hash: Option<Arc<str>>,
}

fn hash(route: Route) -> ClusterHash {
    match route {
        Route::Key(place) => ClusterHash::Offset(place),
        Route::Any => ClusterHash::Random,
    }
}

/// The slot of a key in a cluster.
pub fn slot(key: &str) -> u16 {
    fred::util::redis_keyslot(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_system_reads_as_text() {
        let details = r#"Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }"#;
        assert_eq!(plain(details), "Connection refused (os error 111)");
        assert_eq!(plain("WRONGPASS invalid"), "WRONGPASS invalid");
    }
}
