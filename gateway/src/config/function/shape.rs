//! The fields that there are, to warn of others: most often they are misspelt.

use components::registry::nearest;
use serde_json::Value;

/// What a value may hold.
pub enum Shape {
    /// Whatever its reader makes of it.
    Any,
    Fields(&'static [(&'static str, Shape)]),
    List(&'static Shape),
    /// Names of one's own choice, each with such a value.
    Named(&'static Shape),
}

use Shape::{Any, Fields, List, Named};

/// A document of the kind.
pub const DOCUMENT: Shape =
    Fields(&[("apiVersion", Any), ("kind", Any), ("metadata", Any), ("scopes", Any), ("auth", Any), ("spec", SPEC)]);

const TRIGGER: Shape = Fields(&[
    ("http", Fields(&[("path", Any), ("method", Any), ("methods", Any)])),
    (
        "topic",
        Fields(&[
            ("pubsub", Any),
            ("pubsubname", Any),
            ("topic", Any),
            ("deadLetterTopic", Any),
            ("rules", List(&Fields(&[("match", Any), ("path", Any)]))),
            ("metadata", Any),
        ]),
    ),
    ("cron", Any),
    ("timer", Fields(&[("cron", Any)])),
    ("id", Any),
]);

const SPEC: Shape = Fields(&[
    ("module", Any),
    ("digest", Any),
    ("kind", Any),
    ("handler", Any),
    ("triggers", List(&TRIGGER)),
    ("events", List(&TRIGGER)),
    ("instances", Fields(&[("min", Any), ("max", Any), ("wait", Any), ("calls", Any), ("growth", Any)])),
    ("limits", Fields(&[("memory", Any), ("time", Any), ("timeout", Any), ("fuel", Any), ("body", Any)])),
    (
        "grants",
        Fields(&[
            ("state", Any),
            ("publish", Any),
            ("secrets", Any),
            ("invoke", Any),
            ("bindings", Any),
            ("hosts", Any),
        ]),
    ),
    ("config", Any),
    ("configFormat", Any),
    ("env", Any),
    ("vm", Fields(&[("id", Any), ("rootId", Any), ("config", Any)])),
    // For the one who builds the module.
    ("build", Any),
]);

/// A file of several functions.
pub const SERVICE: Shape = Fields(&[
    ("service", Any),
    ("provider", Any),
    ("functions", Named(&SPEC)),
    ("aggregation", Named(&Fields(&[("deployOrigin", Any), ("functions", Any)]))),
    ("package", Any),
    ("custom", Any),
]);

/// Takes out what is no field, and tells `warn` about it.
pub fn check(value: &mut Value, shape: &Shape, warn: &dyn Fn(&str)) {
    walk(value, shape, "", warn);
}

fn walk(value: &mut Value, shape: &Shape, path: &str, warn: &dyn Fn(&str)) {
    match (shape, value) {
        (Fields(known), Value::Object(members)) => {
            let find = |name: &str| known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            members.retain(|name, member| match find(name) {
                Some((_, shape)) => {
                    walk(member, shape, &join(path, name), warn);
                    true
                }
                None => {
                    let place = join(path, name);
                    match nearest(name, known.iter().map(|(known, _)| *known)) {
                        Some(nearest) => warn(&format!("nothing reads {place}: did you mean '{nearest}'?")),
                        None => warn(&format!("nothing reads {place}")),
                    }
                    false
                }
            });
        }
        (List(shape), Value::Array(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                walk(item, shape, &format!("{path}[{index}]"), warn);
            }
        }
        (Named(shape), Value::Object(members)) => {
            for (name, member) in members.iter_mut() {
                walk(member, shape, &join(path, name), warn);
            }
        }
        _ => {}
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;

    #[test]
    fn misspelt_fields_are_told_and_taken_out() {
        let mut document =
            json!({"spec": {"modules": "a", "triggers": [{"htp": {}}], "zzz": 1, "grants": {"State": []}}});
        let told = RefCell::new(Vec::new());
        check(&mut document, &DOCUMENT, &|line| told.borrow_mut().push(line.to_owned()));
        let mut told = told.into_inner();
        told.sort();
        assert_eq!(
            told,
            [
                "nothing reads spec.modules: did you mean 'module'?",
                "nothing reads spec.triggers[0].htp: did you mean 'http'?",
                "nothing reads spec.zzz",
            ]
        );
        assert_eq!(document, json!({"spec": {"triggers": [{}], "grants": {"State": []}}}));
    }
}
