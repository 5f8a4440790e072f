//! The connection's options.

use std::time::Duration;

use crate::metadata::{Properties, Secret, parse_go_duration};
use crate::{Error, Result};

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_DIAL_TIMEOUT: Duration = Duration::from_secs(5);
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(3);

/// What tunes pools of connections that are lent out one by one. Ours are shared by all calls, so there is nothing to
/// tune; a component that says so loads, with a warning.
const POOL_TUNING: [&str; 5] = ["poolTimeout", "maxConnAge", "minIdleConns", "idleCheckFrequency", "idleTimeout"];

/// Which component reads the options: defaults differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    State,
    PubSub,
}

/// How the hosts belong together.
#[derive(Debug, Clone)]
pub enum Mode {
    Node,
    /// `redisType: cluster`.
    Cluster,
    /// `failover: true`: the hosts are sentinels.
    Sentinel {
        master: String,
        username: Option<String>,
        password: Option<Secret>,
    },
}

/// What the metadata says about the server.
#[derive(Debug, Clone)]
pub struct Config {
    /// `redisHost` (comma-separated for clusters and sentinels) with `redisPort`.
    pub hosts: Vec<(String, u16)>,
    pub mode: Mode,
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// `redisDB`.
    pub database: u8,
    pub tls: Option<Tls>,
    /// `dialTimeout`: for a new connection.
    pub dial_timeout: Duration,
    /// The longer of `readTimeout` and `writeTimeout`: for one command. None: no limit.
    pub command_timeout: Option<Duration>,
    /// `redisMaxRetries` and one: how often a command is sent while connections break.
    pub attempts: u32,
    /// `redisMinRetryInterval`: before the first new attempt to connect.
    pub min_retry: Duration,
    /// `redisMaxRetryInterval`: before later ones.
    pub max_retry: Duration,
    /// `poolSize`: connections, each shared by many calls at a time.
    pub connections: usize,
}

/// `enableTLS` and what goes with it.
#[derive(Debug, Clone)]
pub struct Tls {
    /// `insecureSkipTLSVerify`.
    pub insecure: bool,
    /// `clientCert` and `clientKey`, both as PEM.
    pub identity: Option<(String, Secret)>,
}

impl Config {
    /// Reads and checks the options.
    pub fn read(properties: &Properties, kind: Kind) -> Result<Self> {
        Self::read_plain(properties, kind).map_err(|error| error.context("redis client configuration error"))
    }

    /// The hosts as one text, for error messages.
    pub fn address(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(|(host, port)| join(host, *port)).collect();
        hosts.join(",")
    }

    fn read_plain(properties: &Properties, kind: Kind) -> Result<Self> {
        refuse_unsupported(properties)?;
        let text = |name: &str| properties.get(&[name]).filter(|text| !text.is_empty());
        let port = properties.number(&["redisPort"])?.filter(|port| *port != 0);
        let hosts = text("redisHost").unwrap_or("localhost").split(',');
        let hosts = hosts.map(|host| resolve(host.trim(), port)).collect::<Result<Vec<_>>>()?;
        let mode = if properties.flag(&["failover"]).unwrap_or_default() {
            Mode::Sentinel {
                master: text("sentinelMasterName")
                    .ok_or_else(|| Error::config("failover needs sentinelMasterName"))?
                    .to_owned(),
                username: text("sentinelUsername").map(str::to_owned),
                password: text("sentinelPassword").map(Secret::new),
            }
        } else if text("redisType") == Some("cluster") {
            Mode::Cluster
        } else {
            Mode::Node
        };
        if matches!(mode, Mode::Node) && hosts.len() > 1 {
            return Err(Error::config("redisHost names several hosts, which needs redisType cluster or failover"));
        }
        let tls = properties.flag(&["enableTLS"]).unwrap_or_default().then(|| Tls {
            insecure: properties.flag(&["insecureSkipTLSVerify"]).unwrap_or_default(),
            identity: text("clientCert").zip(text("clientKey")).map(|(cert, key)| (cert.to_owned(), Secret::new(key))),
        });
        let read = timeout(properties, "readTimeout", Some(DEFAULT_READ_TIMEOUT))?;
        let write = timeout(properties, "writeTimeout", read)?;
        let (min_retry, max_retry) = retry_intervals(properties, kind)?;
        Ok(Self {
            hosts,
            mode,
            username: text("redisUsername").map(str::to_owned),
            password: text("redisPassword").map(Secret::new),
            database: properties.number(&["redisDB"])?.unwrap_or_default(),
            tls,
            dial_timeout: timeout(properties, "dialTimeout", Some(DEFAULT_DIAL_TIMEOUT))?
                .unwrap_or(DEFAULT_DIAL_TIMEOUT),
            command_timeout: read.zip(write).map(|(read, write)| read.max(write)),
            attempts: attempts(properties, kind)?,
            min_retry,
            max_retry,
            connections: properties
                .number(&["poolSize"])?
                .filter(|size| *size > 0)
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 8))),
        })
    }
}

/// A duration as daprd's Redis components read it: a bare number counts milliseconds. A negative one is `None`.
pub fn milliseconds(text: &str) -> Option<Option<Duration>> {
    match text.parse::<i64>() {
        Ok(number) => Some(u64::try_from(number).ok().map(Duration::from_millis)),
        Err(_) => match text.strip_prefix('-') {
            Some(rest) => parse_go_duration(rest).map(|_| None),
            None => parse_go_duration(text).map(Some),
        },
    }
}

/// What cannot be honoured and would be dangerous to pass over: how to authenticate.
fn refuse_unsupported(properties: &Properties) -> Result<()> {
    for name in ["useEntraID", "useAzureAD", "useOIDC"] {
        if properties.flag(&[name]) == Some(true) {
            return Err(Error::config(format!(
                "{name} is not supported by this build; use redisUsername and redisPassword"
            )));
        }
    }
    let tuned: Vec<&str> = POOL_TUNING.into_iter().filter(|name| properties.get(&[name]).is_some()).collect();
    if !tuned.is_empty() {
        tracing::warn!("redis: {} have no effect, connections are shared by all calls and stay open", tuned.join(", "));
    }
    Ok(())
}

/// A host with its own port, or `port`, or the default one; two ports that differ are an error.
fn resolve(host: &str, port: Option<u16>) -> Result<(String, u16)> {
    let (name, own) = split(host).ok_or_else(|| Error::config(format!("redisHost '{host}' is not a host and port")))?;
    match (own, port) {
        (Some(own), Some(port)) if own != port => Err(Error::config(format!(
            "redis host {host:?} already contains port {own}, but redisPort is set to {port}; either remove the port \
             from redisHost or remove the redisPort setting"
        ))),
        (own, port) => Ok((name.to_owned(), own.or(port).unwrap_or(DEFAULT_PORT))),
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; a bare IPv6 address has no port.
fn split(host: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(port.parse().ok()?))),
            None if rest.is_empty() => Some((address, None)),
            None => None,
        };
    }
    match host.split_once(':') {
        Some((_, rest)) if rest.contains(':') => Some((host, None)),
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
        None => Some((host, None)),
    }
}

fn join(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A time-out: zero and absence mean the default, a negative value none.
fn timeout(properties: &Properties, name: &str, default: Option<Duration>) -> Result<Option<Duration>> {
    Ok(match duration(properties, name)? {
        None => default,
        Some(Some(Duration::ZERO)) => default,
        Some(value) => value,
    })
}

fn duration(properties: &Properties, name: &str) -> Result<Option<Option<Duration>>> {
    match properties.get(&[name]).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => milliseconds(text)
            .map(Some)
            .ok_or_else(|| Error::config(format!("invalid value for {name}: '{text}' is not a duration"))),
    }
}

/// Retries and the first attempt; `-1` means no retries, 0 the default of three.
fn attempts(properties: &Properties, kind: Kind) -> Result<u32> {
    let legacy: &[&str] = if kind == Kind::State { &["redisMaxRetries", "maxRetries"] } else { &["redisMaxRetries"] };
    let retries: i64 = properties.number(legacy)?.unwrap_or_default();
    Ok(match retries {
        0 => 4,
        -1 => 1,
        retries => u32::try_from(retries).unwrap_or_default().saturating_add(1),
    })
}

fn retry_intervals(properties: &Properties, kind: Kind) -> Result<(Duration, Duration)> {
    let default_min = match kind {
        Kind::State => Duration::from_secs(2),
        Kind::PubSub => Duration::from_millis(8),
    };
    let mut min = match duration(properties, "redisMinRetryInterval")? {
        None => default_min,
        // `-1`: no pause at all; a little one keeps a dead server from costing a core.
        Some(value) => value.unwrap_or_default(),
    };
    if kind == Kind::State
        && properties.get(&["redisMinRetryInterval"]).is_none_or(str::is_empty)
        && let Some(nanoseconds) = properties.number::<u64>(&["maxRetryBackoff"])?
    {
        min = Duration::from_nanos(nanoseconds);
    }
    let max = match duration(properties, "redisMaxRetryInterval")? {
        None => Duration::from_millis(512),
        Some(value) => value.unwrap_or_default(),
    };
    let min = min.max(Duration::from_millis(8));
    Ok((min, max.max(min)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(entries: &[(&str, &str)]) -> Result<Config> {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::read(&Properties::new(entries), Kind::State)
    }

    #[test]
    fn hosts_and_ports_go_together() {
        let address = |entries: &[(&str, &str)]| read(entries).unwrap().address();
        assert_eq!(address(&[]), "localhost:6379");
        assert_eq!(address(&[("redisHost", "h")]), "h:6379");
        assert_eq!(address(&[("redisHost", "h:1")]), "h:1");
        assert_eq!(address(&[("redisHost", "h"), ("redisPort", "2")]), "h:2");
        assert_eq!(address(&[("redisHost", "h:2"), ("redisPort", "2")]), "h:2");
        assert_eq!(address(&[("redisHost", "[::1]:3")]), "[::1]:3");
        assert_eq!(address(&[("redisHost", "a:1, b"), ("redisType", "cluster")]), "a:1,b:6379");
        let error = read(&[("redisHost", "h:1"), ("redisPort", "2")]).unwrap_err();
        assert_eq!(
            error.message(),
            "redis client configuration error: redis host \"h:1\" already contains port 1, but redisPort is set to 2; \
             either remove the port from redisHost or remove the redisPort setting"
        );
        assert!(read(&[("redisHost", "a,b")]).is_err());
    }

    #[test]
    fn bare_numbers_are_milliseconds_and_negative_ones_switch_off() {
        let config = read(&[("dialTimeout", "250"), ("readTimeout", "1s"), ("writeTimeout", "2500")]).unwrap();
        assert_eq!(config.dial_timeout, Duration::from_millis(250));
        assert_eq!(config.command_timeout, Some(Duration::from_millis(2500)));
        assert_eq!(read(&[("readTimeout", "-1")]).unwrap().command_timeout, None);
        assert_eq!(read(&[]).unwrap().command_timeout, Some(DEFAULT_READ_TIMEOUT));
        assert!(read(&[("readTimeout", "soon")]).is_err());
    }

    #[test]
    fn retries_have_daprs_defaults_and_old_names() {
        assert_eq!(read(&[]).unwrap().attempts, 4);
        assert_eq!(read(&[("maxRetries", "7")]).unwrap().attempts, 8);
        assert_eq!(read(&[("redisMaxRetries", "-1")]).unwrap().attempts, 1);
        assert_eq!(read(&[("maxRetryBackoff", "3000000000")]).unwrap().min_retry, Duration::from_secs(3));
    }

    #[test]
    fn sentinels_need_the_name_of_their_master() {
        assert!(read(&[("failover", "true")]).is_err());
        let config = read(&[("failover", "true"), ("sentinelMasterName", "m"), ("redisHost", "a:1,b:2")]).unwrap();
        assert!(matches!(config.mode, Mode::Sentinel { master, .. } if master == "m"));
    }

    #[test]
    fn other_ways_to_authenticate_are_refused() {
        for name in ["useEntraID", "useAzureAD", "useOIDC"] {
            assert!(read(&[(name, "true")]).unwrap_err().message().contains(name));
            assert!(read(&[(name, "false")]).is_ok());
        }
    }
}
