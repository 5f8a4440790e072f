//! Several functions in one file, `functions.yaml`: their service, the functions by name, and groups of them.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::spec::FunctionSpec;
use super::{Function, shape};
use crate::config::decode::decode;

/// Functions that are called by one name: the path says which of them is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aggregation {
    pub name: String,
    pub functions: Vec<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AggregationSpec {
    functions: Vec<String>,
}

/// What a file declares.
#[derive(Debug, Default)]
pub struct Service {
    pub functions: Vec<Function>,
    pub aggregations: Vec<Aggregation>,
    pub errors: Vec<String>,
}

/// Whether a document without a kind is such a file.
pub fn is_service(file: &Path, document: &Value) -> bool {
    let is_named = file.file_stem().is_some_and(|stem| stem == "functions");
    is_named && document.get("kind").is_none() && document.get("functions").is_some_and(Value::is_object)
}

/// Reads a file of functions.
pub fn read(file: &Path, document: &Value) -> Service {
    let mut document = document.clone();
    shape::check(&mut document, &shape::SERVICE, &|warning| {
        tracing::warn!(target: crate::config::load::RUNTIME, "{}: {warning}", file.display());
    });
    let mut service = Service::default();
    let members = |document: &mut Value, name: &str| match document.get_mut(name).map(Value::take) {
        Some(Value::Object(members)) => members,
        _ => serde_json::Map::new(),
    };
    for (name, spec) in members(&mut document, "functions") {
        let failed = |error: String| format!("{}: functions.{name}: {error}", file.display());
        if name.is_empty() {
            service.errors.push(failed("a function has no name".into()));
            continue;
        }
        let read = decode::<FunctionSpec>(spec).map_err(|error| error.to_string());
        match read.and_then(|spec| spec.resolve(&name, file)) {
            Ok(function) => service.functions.push(function),
            Err(error) => service.errors.push(failed(error)),
        }
    }
    for (name, spec) in members(&mut document, "aggregation") {
        let failed = |error: &str| format!("{}: aggregation.{name}: {error}", file.display());
        match decode::<AggregationSpec>(spec) {
            Ok(spec) => {
                let unknown =
                    spec.functions.iter().find(|one| !service.functions.iter().any(|other| other.name == **one));
                match unknown {
                    Some(unknown) => {
                        service.errors.push(failed(&format!("there is no function '{unknown}' in this file")))
                    }
                    None => service.aggregations.push(Aggregation { name, functions: spec.functions }),
                }
            }
            Err(error) => service.errors.push(failed(&error.to_string())),
        }
    }
    service
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn a_function_without_a_name_is_none() {
        let file = Path::new("/f/functions.yaml");
        let service = read(file, &yaml::parse("functions: {'': {module: a.wasm}, b: {module: b.wasm}}").unwrap());
        assert_eq!((service.functions.len(), service.functions[0].name.as_str()), (1, "b"));
        assert_eq!(service.errors, ["/f/functions.yaml: functions.: a function has no name"]);
    }

    #[test]
    fn a_file_declares_several_functions_and_groups_of_them() {
        let file = Path::new("/f/functions.yaml");
        let text = "
service: {name: shop}
functions:
  a: {module: a.wasm, events: [{http: {path: /a, method: [GET]}}, {timer: {cron: '@every 1m'}}]}
  b: {module: b.wasm}
aggregation:
  all: {deployOrigin: false, functions: [a, b]}
  odd: {functions: [c]}
";
        let document = yaml::parse(text).unwrap();
        assert!(is_service(file, &document) && !is_service(Path::new("/f/other.yaml"), &document));
        let service = read(file, &document);
        assert_eq!(service.functions.len(), 2);
        assert_eq!(service.functions[0].triggers.schedules.len(), 1);
        assert_eq!(service.aggregations, [Aggregation { name: "all".into(), functions: vec!["a".into(), "b".into()] }]);
        assert_eq!(service.errors, ["/f/functions.yaml: aggregation.odd: there is no function 'c' in this file"]);
    }
}
