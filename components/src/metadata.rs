//! Name/value metadata: of requests ([`Metadata`]) and of components ([`Properties`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::{Error, Result};

/// Request and reply metadata: ordered, so that what is written out does not vary.
pub type Metadata = BTreeMap<String, String>;

/// A text that never prints.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself; keep it out of logs and errors.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A component's properties. Names match without regard to case, as in daprd; values never print.
#[derive(Clone, Default)]
pub struct Properties {
    entries: Vec<(String, String)>,
}

impl Properties {
    pub fn new(entries: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { entries: entries.into_iter().collect() }
    }

    /// The value of the first of `names` (a name and its aliases) that is present.
    pub fn get(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| {
            self.entries.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        })
    }

    /// The property names as written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// All entries, for components that pass them on (pluggable).
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// A truth value: `y`, `yes`, `true`, `t`, `on`, `1` in any case; everything else is false, as in daprd.
    pub fn flag(&self, names: &[&str]) -> Option<bool> {
        self.get(names).map(is_truthy)
    }

    /// A Go duration (`1m30s`), or a whole number of seconds.
    pub fn duration(&self, names: &[&str]) -> Result<Option<Duration>> {
        match self.get(names).map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<u64>() {
                Ok(seconds) => Ok(Some(Duration::from_secs(seconds))),
                Err(_) => parse_go_duration(text).map(Some).ok_or_else(|| {
                    Error::config(format!("invalid value for {}: '{text}' is not a duration", names[0]))
                }),
            },
        }
    }

    /// As [`Properties::duration`], for intervals that may be switched off: negative ones count as zero.
    pub fn interval(&self, names: &[&str]) -> Result<Option<Duration>> {
        match self.get(names).map(str::trim).and_then(|text| text.strip_prefix('-')) {
            Some(rest) if rest.parse::<u64>().is_ok() || parse_go_duration(rest).is_some() => Ok(Some(Duration::ZERO)),
            _ => self.duration(names),
        }
    }

    /// A whole number.
    pub fn number<T: std::str::FromStr>(&self, names: &[&str]) -> Result<Option<T>> {
        match self.get(names).map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| Error::config(format!("invalid value for {}: '{text}' is not a number", names[0]))),
        }
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// daprd's reading of a truth value.
pub fn is_truthy(text: &str) -> bool {
    ["y", "yes", "true", "t", "on", "1"].iter().any(|word| word.eq_ignore_ascii_case(text.trim()))
}

/// Go's duration syntax: signed decimal numbers with `ns us µs ms s m h`. Negative durations are `None` here.
pub fn parse_go_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let nanos = match &rest[..unit] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number * nanos;
        rest = &rest[unit..];
    }
    (total <= u64::MAX as f64).then(|| Duration::from_nanos(total.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_any_case_and_the_last_entry_wins() {
        let properties = Properties::new([("KeyPrefix".into(), "a".into()), ("keyprefix".into(), "b".into())]);
        assert_eq!(properties.get(&["keyPrefix"]), Some("b"));
    }

    #[test]
    fn durations_are_go_text_or_seconds() {
        let properties =
            Properties::new([("a".into(), "1m30s".into()), ("b".into(), "5".into()), ("c".into(), "x".into())]);
        assert_eq!(properties.duration(&["a"]).unwrap(), Some(Duration::from_secs(90)));
        assert_eq!(properties.duration(&["b"]).unwrap(), Some(Duration::from_secs(5)));
        assert!(properties.duration(&["c"]).is_err());
        assert_eq!(parse_go_duration("0h0m5s0ms0μs"), Some(Duration::from_secs(5)));
    }

    #[test]
    fn negative_intervals_count_as_zero() {
        let properties =
            Properties::new([("a".into(), "-1".into()), ("b".into(), "-5m".into()), ("c".into(), "-x".into())]);
        assert_eq!(properties.interval(&["a"]).unwrap(), Some(Duration::ZERO));
        assert_eq!(properties.interval(&["b"]).unwrap(), Some(Duration::ZERO));
        assert!(properties.interval(&["c"]).is_err());
    }

    #[test]
    fn values_never_print() {
        let properties = Properties::new([("password".into(), "hunter2".into())]);
        assert_eq!(format!("{properties:?}"), r#"["password"]"#);
    }
}
