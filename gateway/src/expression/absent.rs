//! A build without CEL: every expression is an error that says so.

use super::{Outcome, Variable};

/// A value that nothing reads.
#[derive(Clone)]
pub struct Value;

/// There is none in this build.
pub enum Expression {}

impl Expression {
    /// # Errors
    /// Always.
    pub fn compile(text: &str) -> Result<Self, String> {
        Err(format!("this build has no CEL to read {text:?} with: use one with the feature `cel`"))
    }

    /// # Errors
    /// Never: there is no expression.
    pub fn evaluate(&self, _variables: &[(&str, Value)]) -> Result<Outcome, String> {
        match *self {}
    }
}

impl From<Variable<'_>> for Value {
    fn from(_: Variable<'_>) -> Self {
        Self
    }
}
