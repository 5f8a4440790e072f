//! Options of `pubsub.redis` beyond the connection's.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::entry::Trim;
use crate::clients::redis::milliseconds;
use crate::metadata::Properties;
use crate::{Error, Result};

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
    "consumerID",
    "processingTimeout",
    "redeliverInterval",
    "queueDepth",
    "concurrency",
    "maxLenApprox",
    "streamTTL",
];

/// What the metadata says.
#[derive(Debug, Clone)]
pub(super) struct Config {
    /// `consumerID`: the name of the group and of the consumer; by default the app id.
    pub(super) consumer: String,
    /// `processingTimeout` and `redeliverInterval`; none when either is zero.
    pub(super) redelivery: Option<Redelivery>,
    /// `queueDepth`: the most entries read at once.
    pub(super) queue_depth: usize,
    /// `concurrency`: handlers at a time.
    pub(super) concurrency: usize,
    max_len: i64,
    stream_ttl: Duration,
}

/// When entries that are not acknowledged are offered again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Redelivery {
    /// How long an entry may be in work; after that it may be taken over.
    pub(super) processing_timeout: Duration,
    /// How often is looked for such entries.
    pub(super) interval: Duration,
}

impl Config {
    pub(super) fn read(properties: &Properties, app_id: &str) -> Result<Self> {
        let duration = |name: &str, default: Duration| -> Result<Duration> {
            match properties.get(&[name]).filter(|text| !text.is_empty()) {
                None => Ok(default),
                Some(text) => match milliseconds(text) {
                    Some(value) => Ok(value.unwrap_or_default()),
                    None => Err(Error::config(format!(
                        "redis client configuration error: invalid value for {name}: '{text}' is not a duration"
                    ))),
                },
            }
        };
        let processing_timeout = duration("processingTimeout", Duration::from_secs(60))?;
        let interval = duration("redeliverInterval", Duration::from_secs(15))?;
        let redelivery = !processing_timeout.is_zero() && !interval.is_zero();
        let config = Self {
            consumer: properties.get(&["consumerID"]).filter(|text| !text.is_empty()).unwrap_or(app_id).to_owned(),
            redelivery: redelivery.then_some(Redelivery { processing_timeout, interval }),
            queue_depth: properties.number(&["queueDepth"])?.unwrap_or(100).max(1),
            concurrency: properties.number(&["concurrency"])?.unwrap_or(10).max(1),
            max_len: properties.number(&["maxLenApprox"])?.unwrap_or_default(),
            stream_ttl: properties.interval(&["streamTTL"])?.unwrap_or_default(),
        };
        if config.max_len > 0 && !config.stream_ttl.is_zero() {
            tracing::warn!(
                "redis streams: maxLenApprox and streamTTL cannot be used together; only maxLenApprox trims the streams"
            );
        }
        Ok(config)
    }

    /// How a stream is trimmed when something is added at `now`.
    pub(super) fn trim(&self, now: DateTime<Utc>) -> Option<Trim> {
        if self.max_len > 0 {
            Some(Trim::MaxLen(self.max_len))
        } else if self.stream_ttl.is_zero() {
            None
        } else {
            let age = i64::try_from(self.stream_ttl.as_millis()).unwrap_or(i64::MAX);
            Some(Trim::MinTime(now.timestamp_millis().saturating_sub(age).max(0)))
        }
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
    fn defaults_are_daprs() {
        let config = read(&[]);
        let redelivery = config.redelivery.unwrap();
        assert_eq!(redelivery.processing_timeout, Duration::from_secs(60));
        assert_eq!(redelivery.interval, Duration::from_secs(15));
        assert_eq!((config.consumer.as_str(), config.queue_depth, config.concurrency), ("app", 100, 10));
        assert!(config.trim(Utc::now()).is_none());
    }

    #[test]
    fn bare_numbers_are_milliseconds_and_zero_switches_redelivery_off() {
        let config = read(&[("processingTimeout", "1500"), ("redeliverInterval", "2s")]);
        assert_eq!(config.redelivery.unwrap().processing_timeout, Duration::from_millis(1500));
        for (name, value) in [("processingTimeout", "0"), ("redeliverInterval", "0s"), ("redeliverInterval", "-1")] {
            assert!(read(&[(name, value)]).redelivery.is_none());
        }
    }

    #[test]
    fn length_trims_before_age() {
        let now = DateTime::from_timestamp_millis(100_000).unwrap();
        assert_eq!(read(&[("streamTTL", "30s")]).trim(now), Some(Trim::MinTime(70_000)));
        assert_eq!(read(&[("streamTTL", "30"), ("maxLenApprox", "9")]).trim(now), Some(Trim::MaxLen(9)));
    }
}
