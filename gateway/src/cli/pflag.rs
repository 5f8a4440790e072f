//! Command lines as daprd reads them: long flags, one dash as good as two, words that are no flags ignored.

use std::collections::BTreeMap;

use super::table::{self, Flag, Kind};
use crate::config::GoDuration;

/// A command line that cannot be read: exit code 2. Texts are those of Go's flag library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UsageError {
    #[error("help requested")]
    Help,
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("unknown flag: --{0}")]
    Unknown(String),
    #[error("unknown shorthand flag: {letter:?} in {word}")]
    Shorthand { letter: char, word: String },
    #[error("flag needs an argument: --{0}")]
    NoValue(&'static str),
    #[error("invalid argument {value:?} for \"--{flag}\" flag: {reason}")]
    Value { flag: &'static str, value: String, reason: String },
}

/// What the command line says, checked against the kinds of the flags.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    given: BTreeMap<&'static str, Vec<String>>,
}

impl Parsed {
    pub fn parse(words: &[String]) -> Result<Self, UsageError> {
        let mut parsed = Self::default();
        let mut words = words.iter().map(|word| doubled(word));
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some(body) = word.strip_prefix("--") else {
                match word.strip_prefix('-').and_then(|rest| rest.chars().next()) {
                    Some('h') => return Err(UsageError::Help),
                    Some(letter) if !letter.is_ascii_digit() => return Err(UsageError::Shorthand { letter, word }),
                    _ => continue,
                }
            };
            if body.is_empty() || body.starts_with(['-', '=']) {
                return Err(UsageError::Syntax(word));
            }
            let (name, inline) = match body.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (body, None),
            };
            let Some(flag) = table::find(name) else {
                return Err(if name == "help" { UsageError::Help } else { UsageError::Unknown(name.to_owned()) });
            };
            let value = match (inline, flag.kind) {
                (Some(value), _) => value,
                (None, Kind::Bool) => "true".to_owned(),
                (None, _) => words.next().ok_or(UsageError::NoValue(flag.name))?,
            };
            check(flag, &value)?;
            parsed.given.entry(flag.name).or_default().push(value);
        }
        Ok(parsed)
    }

    /// Whether the flag was given at all.
    pub fn is_given(&self, name: &str) -> bool {
        self.given.contains_key(name)
    }

    /// Deprecated flags that were given, each with what to use in its place.
    pub fn deprecated(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.given.keys().filter_map(|name| Some((*name, table::find(name)?.deprecated?)))
    }

    /// The last value of a flag, or its default.
    pub fn text(&self, name: &str) -> &str {
        let given = self.given.get(name).and_then(|values| values.last()).map(String::as_str);
        given.or_else(|| table::find(name).map(|flag| flag.default)).unwrap_or_default()
    }

    /// All values of a flag, comma separated ones apart.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.given.get(name).into_iter().flatten().flat_map(|value| split_list(value)).collect()
    }

    pub fn truth(&self, name: &str) -> bool {
        parse_truth(self.text(name)).unwrap_or_default()
    }

    pub fn int(&self, name: &str) -> i64 {
        parse_int(self.text(name)).unwrap_or_default()
    }

    pub fn duration(&self, name: &str) -> GoDuration {
        self.text(name).parse().unwrap_or_default()
    }
}

/// One dash becomes two in front of more than one letter; negative numbers stay.
fn doubled(word: &str) -> String {
    let mut chars = word.chars();
    match (chars.next(), chars.next(), chars.next()) {
        (Some('-'), Some(second), Some(_)) if second != '-' && word.parse::<f64>().is_err() => format!("-{word}"),
        _ => word.to_owned(),
    }
}

fn check(flag: &Flag, value: &str) -> Result<(), UsageError> {
    let checked = match flag.kind {
        Kind::Text | Kind::List => Ok(()),
        Kind::Int => parse_int(value).map(drop).map_err(|reason| go_number_error("ParseInt", value, reason)),
        Kind::Uint => match parse_int(value) {
            Ok(number) if number >= 0 => Ok(()),
            Ok(_) | Err(NumberFault::Syntax) => Err(go_number_error("ParseUint", value, NumberFault::Syntax)),
            Err(fault) => Err(go_number_error("ParseUint", value, fault)),
        },
        Kind::Bool => match parse_truth(value) {
            Some(_) => Ok(()),
            None => Err(go_number_error("ParseBool", value, NumberFault::Syntax)),
        },
        Kind::Duration => value.parse::<GoDuration>().map(drop).map_err(|error| error.to_string()),
    };
    checked.map_err(|reason| UsageError::Value { flag: flag.name, value: value.to_owned(), reason })
}

/// Why a text is no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFault {
    Syntax,
    Range,
}

/// The text of Go's error.
pub fn go_number_error(function: &str, text: &str, fault: NumberFault) -> String {
    let fault = match fault {
        NumberFault::Syntax => "invalid syntax",
        NumberFault::Range => "value out of range",
    };
    format!("strconv.{function}: parsing {text:?}: {fault}")
}

/// Decimal, or with one of Go's prefixes.
fn parse_int(text: &str) -> Result<i64, NumberFault> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(NumberFault::Syntax);
    }
    let size = i128::from_str_radix(digits, radix).map_err(|_| NumberFault::Range)?;
    i64::try_from(if negative { -size } else { size }).map_err(|_| NumberFault::Range)
}

/// Go's truth values.
fn parse_truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// Fields of one line of comma separated values, where quotes may surround a field.
fn split_list(text: &str) -> Vec<String> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"').and_then(quoted_field) {
            Some(quoted) => quoted,
            None => match rest.split_once(',') {
                Some((field, after)) => (field.to_owned(), Some(after)),
                None => (rest.to_owned(), None),
            },
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return fields,
        }
    }
}

/// A field behind its opening quote, and what follows its comma; `None` when the quotes do not fit.
fn quoted_field(text: &str) -> Option<(String, Option<&str>)> {
    let mut field = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('"')?;
        field.push_str(part);
        match after.chars().next() {
            Some('"') => {
                field.push('"');
                rest = &after[1..];
            }
            Some(',') => return Some((field, Some(&after[1..]))),
            None => return Some((field, None)),
            Some(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Parsed, UsageError> {
        Parsed::parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn all_forms_of_a_flag() {
        let parsed = parse(&["-app-id", "a", "--mode=x", "word", "--enable-mtls=false", "--log-as-json"]).unwrap();
        assert_eq!((parsed.text("app-id"), parsed.text("mode")), ("a", "x"));
        assert!(!parsed.truth("enable-mtls") && parsed.is_given("enable-mtls"));
        assert!(parsed.truth("log-as-json"));
        assert_eq!(parsed.text("dapr-http-port"), "3500");
    }

    #[test]
    fn negative_numbers_and_empty_values_are_words() {
        let parsed =
            parse(&["--app-max-concurrency", "-1", "--profile-port", "-10", "-placement-host-address", ""]).unwrap();
        assert_eq!(parsed.int("app-max-concurrency"), -1);
        assert_eq!(parsed.text("profile-port"), "-10");
        assert_eq!(parsed.text("placement-host-address"), "");
    }

    #[test]
    fn lists_repeat_and_split() {
        let parsed = parse(&["--config", "a,b", "--config=c", "--config", "\"d,e\",\"\""]).unwrap();
        assert_eq!(parsed.list("config"), ["a", "b", "c", "d,e", ""]);
        assert!(parse(&["--config", ""]).unwrap().list("config").is_empty());
        assert_eq!(split_list("'\"\"'"), ["'\"\"'"]);
    }

    #[test]
    fn errors_are_gos() {
        for (words, message) in [
            (&["--nope"][..], "unknown flag: --nope"),
            (&["--app-id"], "flag needs an argument: --app-id"),
            (
                &["--app-max-concurrency", "x"],
                "invalid argument \"x\" for \"--app-max-concurrency\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
            ),
            (
                &["--enable-mtls=maybe"],
                "invalid argument \"maybe\" for \"--enable-mtls\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
            ),
            (
                &["--actors-disseminate-timeout", "1"],
                "invalid argument \"1\" for \"--actors-disseminate-timeout\" flag: time: missing unit in duration \"1\"",
            ),
            (&["--=x"], "bad flag syntax: --=x"),
            (&["-a"], "unknown shorthand flag: 'a' in -a"),
        ] {
            assert_eq!(parse(words).unwrap_err().to_string(), message);
        }
        assert_eq!(parse(&["--help"]), Err(UsageError::Help));
    }

    #[test]
    fn words_behind_two_dashes_are_not_read() {
        assert_eq!(parse(&["--", "--nope"]), Ok(Parsed::default()));
    }
}
