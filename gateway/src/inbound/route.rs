//! Where an event goes in the application: routing rules, the first that holds wins (as daprd 1.18).

use crate::blocks::pubsub::envelope::Event;
use crate::expression::{Expression, Outcome, Value, Variable};

/// One rule: a CEL condition over `event` (none always holds), and a path.
pub struct Rule {
    /// As written; empty for the default.
    pub condition: String,
    pub path: String,
    expression: Option<Expression>,
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
        let expression = if condition.is_empty() { None } else { Some(Expression::compile(condition)?) };
        Ok(Self { condition: condition.to_owned(), path: path.to_owned(), expression })
    }

    fn holds(&self, event: &Value) -> Result<bool, String> {
        let Some(expression) = &self.expression else { return Ok(true) };
        match expression.evaluate(&[("event", event.clone())])? {
            Outcome::Truth(holds) => Ok(holds),
            Outcome::Other => Err(format!("the result of match expression {} was not a boolean", self.condition)),
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
        if rule.expression.is_none() {
            return Ok(Some(&rule.path));
        }
        let value = value.get_or_insert_with(|| match subject {
            Subject::Event(event) => Variable::Members(event).into(),
            Subject::Raw(text) => Variable::Text(text).into(),
        });
        if rule.holds(value)? {
            return Ok(Some(&rule.path));
        }
    }
    Ok(None)
}

#[cfg(all(test, feature = "cel"))]
mod tests {
    use super::*;
    use crate::json::{Json, parse_whole};

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
