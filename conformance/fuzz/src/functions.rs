//! What declares functions: a manifest, a file of several, and what a manager of functions sends.
//!
//! An input is the text of a file (YAML or JSON, any number of documents).

use std::path::Path;

use chrono::DateTime;
use gateway::config::function::Function;
use gateway::config::load::{Folders, Scope};
use gateway::inbound::route::Rule;
use serde_json::{Value, json};

/// # Panics
///
/// What was accepted cannot be built, or was accepted twice.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let scope = Scope { app_id: "app".to_owned(), namespace: None };
    for file in ["/folder/manifest.yaml", "/folder/functions.yaml"] {
        let declared = Folders::of_texts([(file.into(), text.to_owned())]).functions(&scope);
        declared.functions.iter().for_each(function);
        for group in &declared.aggregations {
            for member in &group.functions {
                assert!(declared.functions.iter().any(|one| one.name == *member), "{member} is not there");
            }
        }
        let mut names: Vec<&str> = declared.functions.iter().map(|function| function.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), declared.functions.len(), "two functions have one name");
    }
    // As it comes over the port that manages functions.
    if let Ok(spec) = serde_json::from_str::<Value>(text) {
        let document = json!({ "metadata": { "name": "name" }, "spec": spec.get("spec").unwrap_or(&spec) });
        if let Ok(installed) = Function::read(Path::new("/folder/installed"), &document) {
            function(&installed);
        }
    }
}

fn function(function: &Function) {
    assert!(!function.name.is_empty(), "a function without a name");
    assert!(!function.module.is_empty() && function.module.contains("://"), "{}", function.module);
    assert!(function.module_file().is_none_or(Path::is_absolute), "{}", function.module);
    let (instances, limits) = (&function.instances, &function.limits);
    assert!(instances.min <= instances.max && instances.max > 0 && instances.calls > 0);
    assert!(limits.memory > 0 && limits.body > 0 && !limits.time.is_zero() && !limits.timeout.is_zero());
    for trigger in &function.triggers.http {
        assert!(trigger.path.starts_with('/'));
    }
    for trigger in &function.triggers.topics {
        assert!(!trigger.pubsub.is_empty() && !trigger.topic.is_empty());
        for (condition, path) in &trigger.rules {
            assert!(path.starts_with('/'));
            // An error says what is wrong with the condition.
            let _ = Rule::new(condition, path);
        }
    }
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default();
    for (text, schedule) in &function.triggers.schedules {
        assert!(schedule.next(now).is_none_or(|next| next > now), "{text} does not go on");
    }
}
