//! Conditions that users write: CEL, as daprd 1.18 has it in routing rules and circuit breakers.

#[cfg_attr(feature = "cel", path = "cel.rs")]
#[cfg_attr(not(feature = "cel"), path = "absent.rs")]
mod language;

use std::collections::BTreeMap;

use crate::json::Json;

pub use language::{Expression, Value};

/// What an expression can read: JSON as CEL sees it in Go (every number is a double), or a whole number.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "cel"), expect(dead_code, reason = "nothing reads it without a language"))]
pub enum Variable<'a> {
    Whole(i64),
    Text(&'a str),
    Members(&'a BTreeMap<String, Json>),
}

/// What an expression came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "cel"), expect(dead_code, reason = "nothing comes to anything without a language"))]
pub enum Outcome {
    Truth(bool),
    /// Anything but a truth value.
    Other,
}
