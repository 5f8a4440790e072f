//! How values are stored.

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message;
use prost_types::{Duration, Timestamp};

use super::super::ttl;
use crate::clients::etcd::pb::state_v2::Value;
use crate::{Error, Metadata, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Schema {
    /// Version 1.
    Plain,
    /// Version 2.
    Envelope,
}

impl Schema {
    /// `ttl` in seconds.
    pub(super) fn encode(self, data: &Bytes, ttl: Option<i64>, now: DateTime<Utc>) -> Bytes {
        match self {
            Self::Plain => data.clone(),
            Self::Envelope => Value {
                data: data.clone(),
                ts: Some(Timestamp {
                    seconds: now.timestamp(),
                    nanos: i32::try_from(now.timestamp_subsec_nanos()).unwrap_or_default(),
                }),
                ttl: ttl.map(|seconds| Duration { seconds, nanos: 0 }),
            }
            .encode_to_vec()
            .into(),
        }
    }

    /// The data, and what is known about its end.
    pub(super) fn decode(self, stored: Bytes) -> Result<(Bytes, Metadata)> {
        match self {
            Self::Plain => Ok((stored, Metadata::new())),
            Self::Envelope => {
                let value = Value::decode(stored)
                    .map_err(|error| Error::other(format!("the value is not one of state.etcd v2: {error}")))?;
                let metadata = expires(&value).map(ttl::reply_metadata).unwrap_or_default();
                Ok((value.data, metadata))
            }
        }
    }
}

/// daprd writes a TTL of zero for none.
fn expires(value: &Value) -> Option<DateTime<Utc>> {
    let ttl = value.ttl.as_ref().filter(|ttl| ttl.seconds > 0)?;
    let written = value.ts.as_ref()?;
    let written = DateTime::from_timestamp(written.seconds, u32::try_from(written.nanos).ok()?)?;
    written.checked_add_signed(TimeDelta::try_seconds(ttl.seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_tells_when_it_ends() {
        let now = DateTime::from_timestamp(1_700_000_000, 5).unwrap();
        let data = Bytes::from_static(b"\"x\"");
        let (found, metadata) = Schema::Envelope.decode(Schema::Envelope.encode(&data, Some(60), now)).unwrap();
        assert_eq!((found, metadata["ttlExpireTime"].as_str()), (data.clone(), "2023-11-14T22:14:20Z"));
        for ttl in [None, Some(0)] {
            let (found, metadata) = Schema::Envelope.decode(Schema::Envelope.encode(&data, ttl, now)).unwrap();
            assert_eq!((found, metadata.len()), (data.clone(), 0));
        }
    }

    #[test]
    fn plain_values_are_themselves() {
        let data = Bytes::from_static(b"\x00\xff");
        let stored = Schema::Plain.encode(&data, Some(1), Utc::now());
        assert_eq!(Schema::Plain.decode(stored).unwrap(), (data, Metadata::new()));
    }
}
