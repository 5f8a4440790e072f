//! JSON as daprd's clients see it: Go's error texts, member names in any case, numbers kept as written.
//!
//! serde reads and writes everything that has no such contract; this module is for request bodies whose errors are
//! part of the API, and for values that are stored and must not lose digits.

use std::collections::BTreeMap;

mod parse;
mod plain;
mod typed;
mod write;

pub use parse::{SyntaxError, error_offset, parse_first, parse_whole};
pub use typed::{Fields, TypeError};
pub use write::{escape_into, go_number};

/// A JSON value. Object members are sorted, as Go writes them; a later duplicate replaces the earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    Null,
    Bool(bool),
    /// The number's text as it was written.
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Compact text, members sorted, `<`, `>`, `&` escaped: as Go's encoder writes it, numbers excepted where Go
    /// would lose digits.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        write::write(self, &mut text, write::go_number);
        text
    }

    /// Like [`Json::to_text`], with every number as it was written.
    pub fn to_exact_text(&self) -> String {
        let mut text = String::with_capacity(512);
        write::write(self, &mut text, str::to_owned);
        text
    }

    /// Go's word for the kind of value, as in `cannot unmarshal number into ...`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Number(_) => "number",
            Self::String(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&BTreeMap<String, Json>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }
}

impl From<&Json> for serde_json::Value {
    fn from(json: &Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(text) => text
                .parse::<i64>()
                .map(Self::from)
                .or_else(|_| text.parse::<u64>().map(Self::from))
                .or_else(|_| text.parse::<f64>().map(Self::from))
                .unwrap_or(Self::Null),
            Json::String(text) => Self::String(text.clone()),
            Json::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            Json::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.clone(), Self::from(value))).collect())
            }
        }
    }
}
