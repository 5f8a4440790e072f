//! Expressions in CEL.

use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Env, Program};

use super::{Outcome, Variable};
use crate::json::Json;

/// A value for several expressions.
#[derive(Clone)]
pub struct Value(cel::Value);

/// A compiled expression.
pub struct Expression {
    program: Program,
    environment: Arc<Env>,
}

impl Expression {
    /// # Errors
    /// The text is no expression.
    pub fn compile(text: &str) -> Result<Self, String> {
        let environment = Arc::new(Env::stdlib());
        let program = environment.compile(text).map_err(|error| error.to_string())?;
        Ok(Self { program, environment })
    }

    /// # Errors
    /// It cannot be evaluated, for example over a variable or a member that there is not.
    pub fn evaluate(&self, variables: &[(&str, Value)]) -> Result<Outcome, String> {
        let mut context = Context::with_env(self.environment.clone());
        for (name, value) in variables {
            context.add_variable_from_value(*name, value.0.clone());
        }
        match self.program.execute(&context) {
            Ok(cel::Value::Bool(truth)) => Ok(Outcome::Truth(truth)),
            Ok(_) => Ok(Outcome::Other),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl From<Variable<'_>> for Value {
    fn from(variable: Variable<'_>) -> Self {
        Self(match variable {
            Variable::Whole(number) => cel::Value::Int(number),
            Variable::Text(text) => cel::Value::String(Arc::new(text.to_owned())),
            Variable::Members(members) => map(members.iter()),
        })
    }
}

fn map<'a>(members: impl Iterator<Item = (&'a String, &'a Json)>) -> cel::Value {
    let entries = members.map(|(name, value)| (Key::from(name.as_str()), of_json(value))).collect();
    cel::Value::Map(Map { map: Arc::new(entries) })
}

fn of_json(json: &Json) -> cel::Value {
    match json {
        Json::Null => cel::Value::Null,
        Json::Bool(value) => cel::Value::Bool(*value),
        Json::Number(text) => cel::Value::Float(text.parse().unwrap_or(f64::NAN)),
        Json::String(text) => cel::Value::String(Arc::new(text.clone())),
        Json::Array(items) => cel::Value::List(Arc::new(items.iter().map(of_json).collect())),
        Json::Object(members) => map(members.iter()),
    }
}
