//! `ttlInSeconds` of a request, as daprd 1.18's stores read it.

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{Error, Metadata, Result, go};

/// Request metadata: the seconds that a value is to live.
pub const TTL_KEY: &str = "ttlInSeconds";

/// Reply metadata: when the value ends (RFC 3339, UTC, whole seconds).
pub const EXPIRE_TIME_KEY: &str = "ttlExpireTime";

/// The request's TTL in seconds: -1 or more; none when absent or empty.
pub fn requested(metadata: &Metadata) -> Result<Option<i64>> {
    let Some(text) = metadata.get(TTL_KEY).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = go::parse_int("ParseInt", text)
        .map_err(|error| Error::other(format!("incorrect value for metadata '{TTL_KEY}': {error}")))?;
    if !(-1..=i64::from(i32::MAX)).contains(&seconds) {
        return Err(Error::other(format!("incorrect value for metadata '{TTL_KEY}': must be -1 or greater")));
    }
    Ok(Some(seconds))
}

/// Reply metadata that tells when a value ends.
pub fn reply_metadata(expires: DateTime<Utc>) -> Metadata {
    Metadata::from([(EXPIRE_TIME_KEY.to_owned(), expires.to_rfc3339_opts(SecondsFormat::Secs, true))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Metadata {
        Metadata::from([(TTL_KEY.to_owned(), text.to_owned())])
    }

    #[test]
    fn a_ttl_is_a_whole_number_from_minus_one() {
        assert_eq!(requested(&Metadata::new()).unwrap(), None);
        assert_eq!(requested(&with("")).unwrap(), None);
        assert_eq!(requested(&with("-1")).unwrap(), Some(-1));
        assert_eq!(requested(&with("60")).unwrap(), Some(60));
        assert_eq!(
            requested(&with("-2")).unwrap_err().message(),
            "incorrect value for metadata 'ttlInSeconds': must be -1 or greater"
        );
        assert_eq!(
            requested(&with("abc")).unwrap_err().message(),
            r#"incorrect value for metadata 'ttlInSeconds': strconv.ParseInt: parsing "abc": invalid syntax"#
        );
    }

    #[test]
    fn the_expiry_is_told_in_whole_utc_seconds() {
        let expires = DateTime::from_timestamp_millis(1_700_000_000_999).unwrap();
        assert_eq!(reply_metadata(expires)[EXPIRE_TIME_KEY], "2023-11-14T22:13:20Z");
    }
}
