//! The `spec` of a container's function: what a manifest says, with what the container says beside it.

use serde_json::{Map, Value, json};

use crate::bundle::{Process, Resources};
use crate::cri::Annotations;

/// Holds a manifest, or its spec alone: YAML or JSON.
pub const ANNOTATION: &str = "ottavo.dev/function";

/// The spec without its module, which is the image's.
///
/// # Errors
/// The manifest cannot be read: where it is, and what is wrong with it.
pub fn spec(
    annotations: &Annotations,
    file: Option<&str>,
    process: &Process,
    resources: &Resources,
) -> Result<Map<String, Value>, String> {
    let mut spec = match (annotations.get(ANNOTATION), file) {
        (Some(text), _) => read(text).map_err(|error| format!("the annotation {ANNOTATION}: {error}"))?,
        (None, Some(text)) => read(text).map_err(|error| format!("function.yaml of the image: {error}"))?,
        (None, None) => Map::new(),
    };
    // How a module is built, and where it is otherwise, does not concern the gateway here.
    spec.remove("build");
    spec.remove("module");
    let environment = environment(process, spec.get("env"));
    if !environment.is_empty() {
        spec.insert("env".into(), Value::Object(environment));
    }
    limit_memory(&mut spec, resources);
    Ok(spec)
}

fn read(text: &str) -> Result<Map<String, Value>, String> {
    let options = serde_saphyr::options! { strict_booleans: false, with_snippet: false };
    let value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(mut members) => match members.remove("spec") {
            Some(Value::Object(spec)) => Ok(spec),
            Some(_) => Err("spec is no mapping".into()),
            None => Ok(members),
        },
        _ => Err("it is no mapping".into()),
    }
}

/// The process's environment; what the manifest says comes before it.
fn environment(process: &Process, own: Option<&Value>) -> Map<String, Value> {
    let pairs = process.env.iter().filter_map(|pair| pair.split_once('='));
    let mut all: Map<String, Value> = pairs.map(|(name, value)| (name.to_owned(), json!(value))).collect();
    if let Some(Value::Object(own)) = own {
        all.extend(own.clone());
    }
    all
}

/// A guest gets no more memory than the container may have.
pub fn limit_memory(spec: &mut Map<String, Value>, resources: &Resources) {
    let Some(limit) = resources.memory() else { return };
    let limits = spec.entry("limits").or_insert_with(|| json!({}));
    // What is no mapping is the gateway's to refuse.
    let Value::Object(limits) = limits else { return };
    let own = limits.get("memory").map(|own| own.as_str().map_or_else(|| own.to_string(), str::to_owned));
    if own.is_none_or(|own| bytes(&own).is_some_and(|own| own > limit)) {
        limits.insert("memory".into(), json!(limit.to_string()));
    }
}

/// Bytes of a size such as `64Mi`; `None`: the gateway says what is wrong with it.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
    let unit: u64 = match &text[digits..] {
        "" => 1,
        "k" => 1000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        _ => return None,
    };
    text[..digits].parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(limit: i64) -> Resources {
        serde_json::from_value(json!({ "memory": { "limit": limit } })).unwrap()
    }

    fn annotated(text: &str) -> Annotations {
        [(ANNOTATION.to_owned(), text.to_owned())].into()
    }

    #[test]
    fn without_a_manifest_there_is_what_the_container_says() {
        let process = Process { env: vec!["A=1".into(), "B=x=y".into(), "odd".into()], ..Process::default() };
        let made = spec(&Annotations::new(), None, &process, &resources(1 << 20)).unwrap();
        assert_eq!(Value::Object(made), json!({"env": {"A": "1", "B": "x=y"}, "limits": {"memory": "1048576"}}));
        let made = spec(&Annotations::new(), None, &Process::default(), &Resources::default()).unwrap();
        assert!(made.is_empty());
    }

    #[test]
    fn the_annotation_comes_before_the_file_and_both_before_the_process() {
        let process = Process { env: vec!["A=1".into(), "B=2".into()], ..Process::default() };
        let manifest = "kind: Function\nmetadata: {name: x}\nspec:\n  module: other.wasm\n  build: {command: make}\n  env: {A: own}\n";
        let made = spec(&Annotations::new(), Some(manifest), &process, &Resources::default()).unwrap();
        assert_eq!(Value::Object(made), json!({"env": {"A": "own", "B": "2"}}));
        let annotations = annotated(r#"{"grants": {"state": ["statestore"]}}"#);
        let made = spec(&annotations, Some(manifest), &Process::default(), &Resources::default()).unwrap();
        assert_eq!(Value::Object(made), json!({"grants": {"state": ["statestore"]}}));
    }

    #[test]
    fn the_smaller_limit_of_memory_holds() {
        for (own, limit, expected) in [
            ("64Mi", 32 << 20, json!("33554432")),
            ("16Mi", 32 << 20, json!("16Mi")),
            ("1000", 32 << 20, json!(1000)),
            ("much", 32 << 20, json!("much")),
        ] {
            let made =
                spec(&annotated(&format!("limits: {{memory: {own}}}")), None, &Process::default(), &resources(limit));
            assert_eq!(made.unwrap()["limits"]["memory"], expected, "{own}");
        }
    }

    #[test]
    fn what_is_no_manifest_is_told_with_its_place() {
        let failed = |text: &str| spec(&annotated(text), None, &Process::default(), &Resources::default()).unwrap_err();
        assert_eq!(failed("[1]"), "the annotation ottavo.dev/function: it is no mapping");
        assert_eq!(failed("spec: 1"), "the annotation ottavo.dev/function: spec is no mapping");
        assert!(failed("a: {").starts_with("the annotation ottavo.dev/function: "));
        let file = spec(&Annotations::new(), Some("- a"), &Process::default(), &Resources::default()).unwrap_err();
        assert_eq!(file, "function.yaml of the image: it is no mapping");
    }
}
