//! Which answers are worth another attempt: lists of codes and ranges.

use std::ops::RangeInclusive;

use super::policy::Code;
use crate::config::resiliency::MatchingSpec;

const HTTP: RangeInclusive<i32> = 100..=599;
const GRPC: RangeInclusive<i32> = 0..=16;

/// The codes to retry; `None` is all of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matching {
    http: Option<Vec<RangeInclusive<i32>>>,
    grpc: Option<Vec<RangeInclusive<i32>>>,
}

/// A pattern that is wrong; texts are daprd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MatchingError {
    #[error("invalid pattern {0}, more than one '-' exists")]
    Dashes(String),
    #[error(
        "failed to parse {which} code {code} from pattern {pattern} to int, strconv.Atoi: parsing {code:?}: invalid syntax"
    )]
    Number { which: &'static str, code: String, pattern: String },
    #[error("invalid pattern {pattern}, {which} code {code} is not valid")]
    Range { which: &'static str, code: i32, pattern: String },
    #[error("invalid pattern {0}, start value should not bigger than end value")]
    Order(String),
}

impl Matching {
    pub fn parse(spec: &MatchingSpec) -> Result<Self, MatchingError> {
        Ok(Self {
            http: parse_list(&spec.http_status_codes, &HTTP)?,
            grpc: parse_list(&spec.grpc_status_codes, &GRPC)?,
        })
    }

    /// Whether an answer with `code` is worth another attempt.
    pub fn allows(&self, code: Code) -> bool {
        let (number, list) = match code {
            Code::Http(number) => (i32::from(number), &self.http),
            Code::Grpc(number) => (number, &self.grpc),
        };
        // As daprd, a number of neither kind is never retried.
        let known = match code {
            Code::Http(_) => HTTP.contains(&number),
            Code::Grpc(_) => GRPC.contains(&number),
        };
        known && list.as_ref().is_none_or(|list| list.iter().any(|range| range.contains(&number)))
    }
}

fn parse_list(text: &str, valid: &RangeInclusive<i32>) -> Result<Option<Vec<RangeInclusive<i32>>>, MatchingError> {
    if text.is_empty() {
        return Ok(None);
    }
    text.split(',')
        .filter(|pattern| !pattern.is_empty())
        .map(|pattern| parse_range(pattern, valid))
        .collect::<Result<_, _>>()
        .map(Some)
}

fn parse_range(pattern: &str, valid: &RangeInclusive<i32>) -> Result<RangeInclusive<i32>, MatchingError> {
    let parts: Vec<&str> = pattern.split('-').collect();
    let code = |which: &'static str, text: &str| {
        let code = text.parse().map_err(|_| MatchingError::Number {
            which,
            code: text.to_owned(),
            pattern: pattern.to_owned(),
        })?;
        if valid.contains(&code) {
            Ok(code)
        } else {
            Err(MatchingError::Range { which, code, pattern: pattern.to_owned() })
        }
    };
    match parts.as_slice() {
        [single] => code("start", single).map(|code| code..=code),
        [start, end] => {
            let (start, end) = (code("start", start)?, code("end", end)?);
            if end < start { Err(MatchingError::Order(pattern.to_owned())) } else { Ok(start..=end) }
        }
        _ => Err(MatchingError::Dashes(pattern.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(http: &str, grpc: &str) -> Result<Matching, MatchingError> {
        Matching::parse(&MatchingSpec { http_status_codes: http.into(), grpc_status_codes: grpc.into() })
    }

    #[test]
    fn without_lists_every_known_code_is_retried() {
        let all = Matching::default();
        assert!(all.allows(Code::Http(404)));
        assert!(all.allows(Code::Grpc(14)));
        assert!(!all.allows(Code::Http(700)));
        assert!(!all.allows(Code::Grpc(17)));
    }

    #[test]
    fn lists_take_codes_and_ranges() {
        let matching = parse("429,,500-503", "14").unwrap();
        assert!(matching.allows(Code::Http(429)));
        assert!(matching.allows(Code::Http(502)));
        assert!(!matching.allows(Code::Http(504)));
        assert!(matching.allows(Code::Grpc(14)));
        assert!(!matching.allows(Code::Grpc(4)));
    }

    #[test]
    fn errors_are_daprds() {
        for (http, message) in [
            ("1-2-3", "invalid pattern 1-2-3, more than one '-' exists"),
            ("99", "invalid pattern 99, start code 99 is not valid"),
            ("500-600", "invalid pattern 500-600, end code 600 is not valid"),
            ("503-500", "invalid pattern 503-500, start value should not bigger than end value"),
            ("x", "failed to parse start code x from pattern x to int, strconv.Atoi: parsing \"x\": invalid syntax"),
        ] {
            assert_eq!(parse(http, "").unwrap_err().to_string(), message);
        }
    }
}
