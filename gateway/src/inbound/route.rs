//! Where an event goes in the application: routing rules, the first that holds wins (as daprd 1.18).

use std::sync::Arc;

use cel::objects::{Key, Map};
use cel::{Context, Env, Program, Value};

use crate::blocks::pubsub::envelope::Event;
use crate::json::Json;

/// One rule: a CEL condition over `event` (none always holds), and a path.
pub struct Rule {
    /// As written; empty for the default.
    pub condition: String,
    pub path: String,
    program: Option<(Program, Arc<Env>)>,
}

/// What rules are judged by.
pub enum Subject<'a> {
    Event(&'a Event),
    /// The payload as text: raw payloads in bulk.
    Raw(&'a str),
}

impl Rule {
    /// # Errors
    /// A condition that does not parse.
    pub fn new(condition: &str, path: &str) -> Result<Self, String> {
        let condition = condition.trim();
        let program = if condition.is_empty() {
            None
        } else {
            let environment = Arc::new(Env::stdlib());
            let program = environment.compile(condition).map_err(|error| error.to_string())?;
            Some((program, environment))
        };
        Ok(Self { condition: condition.to_owned(), path: path.to_owned(), program })
    }

    fn holds(&self, subject: &Value) -> Result<bool, String> {
        let Some((program, environment)) = &self.program else { return Ok(true) };
        let mut context = Context::with_env(environment.clone());
        context.add_variable_from_value("event", subject.clone());
        match program.execute(&context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(format!("the result of match expression {} was not a boolean", self.condition)),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The path of the first rule that holds. `None`: no rule does, and the event is not for the application.
///
/// # Errors
/// A condition that cannot be evaluated, for example over an attribute that the event lacks; no further rule counts.
pub fn find<'a>(rules: &'a [Rule], subject: &Subject<'_>) -> Result<Option<&'a str>, String> {
    let mut value = None;
    for rule in rules {
        if rule.program.is_none() {
            return Ok(Some(&rule.path));
        }
        let value = value.get_or_insert_with(|| match subject {
            Subject::Event(event) => map(event),
            Subject::Raw(text) => Value::String(Arc::new((*text).to_owned())),
        });
        if rule.holds(value)? {
            return Ok(Some(&rule.path));
        }
    }
    Ok(None)
}

fn map(members: &Event) -> Value {
    let entries = members.iter().map(|(name, value)| (Key::from(name.as_str()), cel_value(value))).collect();
    Value::Map(Map { map: Arc::new(entries) })
}

/// JSON as CEL sees it in Go: every number is a double.
fn cel_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(text) => Value::Float(text.parse().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(Arc::new(text.clone())),
        Json::Array(items) => Value::List(Arc::new(items.iter().map(cel_value).collect())),
        Json::Object(members) => map(members),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_whole;

    fn path(rules: &[(&str, &str)], event: &str) -> Result<Option<String>, String> {
        let Ok(Json::Object(event)) = parse_whole(event.as_bytes()) else { panic!("the event is no object") };
        let rules: Vec<Rule> = rules.iter().map(|(condition, path)| Rule::new(condition, path).unwrap()).collect();
        find(&rules, &Subject::Event(&event)).map(|path| path.map(str::to_owned))
    }

    #[test]
    fn the_first_rule_that_holds_wins() {
        let rules = [("event.type == 'a'", "/a"), ("event.type.startsWith(\"b\")", "/b"), ("", "/d")];
        assert_eq!(path(&rules, r#"{"type":"a"}"#).unwrap().unwrap(), "/a");
        assert_eq!(path(&rules, r#"{"type":"bb"}"#).unwrap().unwrap(), "/b");
        assert_eq!(path(&rules, r#"{"type":"c"}"#).unwrap().unwrap(), "/d");
        assert_eq!(path(&rules[..1], r#"{"type":"c"}"#).unwrap(), None);
    }

    #[test]
    fn numbers_compare_as_in_go() {
        assert_eq!(path(&[("event.data.n > 10", "/n")], r#"{"data":{"n":11}}"#).unwrap().unwrap(), "/n");
        assert_eq!(path(&[("event.data.n == 3", "/n")], r#"{"data":{"n":3}}"#).unwrap().unwrap(), "/n");
    }

    #[test]
    fn absent_fields_and_odd_results_are_errors() {
        assert!(path(&[("event.data.n > 10", "/n"), ("", "/d")], r#"{"data":{}}"#).is_err());
        assert!(path(&[("event.type", "/n")], r#"{"type":"a"}"#).is_err());
        assert_eq!(path(&[("has(event.ext) && event.ext == \"x\"", "/n")], r#"{"type":"a"}"#).unwrap(), None);
        assert!(Rule::new("event.type ==", "/x").is_err());
    }
}
