//! Go's durations, read and printed as Go does: `1h30m`, `5s`, `500ms`, `3m0s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A signed duration in nanoseconds, with Go's syntax.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

/// A text that is no Go duration; prints as Go's own error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    #[error("time: invalid duration {0:?}")]
    Invalid(String),
    #[error("time: missing unit in duration {0:?}")]
    MissingUnit(String),
    #[error("time: unknown unit {1:?} in duration {0:?}")]
    UnknownUnit(String, String),
}

const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;

impl GoDuration {
    pub const ZERO: Self = Self(0);

    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(MILLISECOND))
    }

    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds.saturating_mul(SECOND))
    }

    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// The same span, unless it is negative.
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.0).ok().map(Duration::from_nanos)
    }
}

impl From<Duration> for GoDuration {
    /// Spans beyond 292 years are cut there.
    fn from(duration: Duration) -> Self {
        Self(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let invalid = || DurationError::Invalid(text.to_owned());
        let (negative, mut rest) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        if rest == "0" {
            return Ok(Self::ZERO);
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: i128 = 0;
        while !rest.is_empty() {
            let whole = digits(rest);
            let (integer, after) = rest.split_at(whole);
            let (fraction, after) = match after.strip_prefix('.') {
                Some(after) => after.split_at(digits(after)),
                None => ("", after),
            };
            if integer.is_empty() && fraction.is_empty() {
                return Err(invalid());
            }
            let length = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, after) = after.split_at(length);
            let nanos = match unit {
                "" => return Err(DurationError::MissingUnit(text.to_owned())),
                "ns" => 1,
                "us" | "µs" | "μs" => MICROSECOND,
                "ms" => MILLISECOND,
                "s" => SECOND,
                "m" => 60 * SECOND,
                "h" => 3600 * SECOND,
                other => return Err(DurationError::UnknownUnit(text.to_owned(), other.to_owned())),
            };
            let whole: i128 = if integer.is_empty() { 0 } else { integer.parse().map_err(|_| invalid())? };
            // Digits behind the 18th are below a nanosecond in every unit.
            let fraction = &fraction[..fraction.len().min(18)];
            let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| invalid())? };
            let scale = 10i128.pow(u32::try_from(fraction.len()).map_err(|_| invalid())?);
            total = whole
                .checked_mul(i128::from(nanos))
                .and_then(|whole| total.checked_add(whole))
                .and_then(|total| total.checked_add(part * i128::from(nanos) / scale))
                .ok_or_else(invalid)?;
            rest = after;
        }
        let signed = if negative { -total } else { total };
        i64::try_from(signed).map(Self).map_err(|_| invalid())
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let second = SECOND.unsigned_abs();
        match size {
            0 => f.write_str("0s"),
            _ if size < MICROSECOND.unsigned_abs() => write!(f, "{size}ns"),
            _ if size < MILLISECOND.unsigned_abs() => write!(f, "{}µs", Decimal(size, 3)),
            _ if size < second => write!(f, "{}ms", Decimal(size, 6)),
            _ => {
                let (minutes, rest) = (size / (60 * second), size % (60 * second));
                match (minutes / 60, minutes % 60) {
                    (0, 0) => {}
                    (0, minutes) => write!(f, "{minutes}m")?,
                    (hours, minutes) => write!(f, "{hours}h{minutes}m")?,
                }
                write!(f, "{}s", Decimal(rest, 9))
            }
        }
    }
}

/// A number divided by a power of ten, without trailing zeros.
struct Decimal(u64, u32);

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value, places) = *self;
        let scale = 10u64.pow(places);
        write!(f, "{}", value / scale)?;
        let fraction = value % scale;
        if fraction > 0 {
            let digits = format!("{fraction:0width$}", width = places as usize);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

/// From a Go duration text, or a number of nanoseconds (as Go's YAML decoder takes it).
impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = GoDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 5s")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<GoDuration, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, nanos: u64) -> Result<GoDuration, E> {
                i64::try_from(nanos).map(GoDuration).map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, nanos: i64) -> Result<GoDuration, E> {
                Ok(GoDuration(nanos))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_go_does() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (500 * MILLISECOND, "500ms"),
            (1_500 * MILLISECOND, "1.5s"),
            (180 * SECOND, "3m0s"),
            (3_600 * SECOND, "1h0m0s"),
            (-90 * SECOND, "-1m30s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(GoDuration::from_nanos(nanos).to_string(), text);
        }
    }

    #[test]
    fn reads_as_go_does() {
        for (text, nanos) in [
            ("0", 0),
            ("5s", 5 * SECOND),
            ("-1.5h", -5_400 * SECOND),
            ("1h15m30.918s", 4_530_918 * MILLISECOND),
            (".5s", 500 * MILLISECOND),
            ("1us", MICROSECOND),
            ("1µs", MICROSECOND),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().as_nanos(), nanos, "{text}");
        }
    }

    #[test]
    fn errors_are_gos() {
        for (text, message) in [
            ("", r#"time: invalid duration """#),
            ("x", r#"time: invalid duration "x""#),
            ("3", r#"time: missing unit in duration "3""#),
            ("3y", r#"time: unknown unit "y" in duration "3y""#),
            ("9999999h", r#"time: invalid duration "9999999h""#),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap_err().to_string(), message);
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_reads_back(nanos: i64) {
            let duration = GoDuration::from_nanos(nanos);
            proptest::prop_assert_eq!(duration.to_string().parse::<GoDuration>().unwrap(), duration);
        }
    }
}
