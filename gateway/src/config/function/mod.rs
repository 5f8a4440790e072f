//! `Function`, `ottavo.io/v1alpha1`: a WebAssembly module that answers requests, takes messages and runs on a schedule.
//!
//! A document is checked for fields that nobody reads ([`shape`]), decoded ([`spec`]) and put into the form that the
//! gateway works with. Several functions in one file are [`service`]'s.

pub mod service;
mod shape;
mod spec;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use components::Metadata;
use components::cron::Schedule;
use http::Method;
use serde_json::Value;
use wasm_host::digest::Pins;
use wasm_host::sidecar::Grants;

use super::meta;
use spec::FunctionSpec;

/// What [`super::load`] compares with a document's own.
pub const API_VERSION: &str = "ottavo.io/v1alpha1";
pub const KIND: &str = "Function";

/// A function that was read and can be built.
#[derive(Clone, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    /// The file that declares it.
    pub file: PathBuf,
    /// `file://` with an absolute path, `http://`, `https://` or `oci://`.
    pub module: String,
    pub pins: Pins,
    /// The id by which Layotto's callers know it; `None`: what the module says, or the name.
    pub handler: Option<String>,
    pub triggers: Triggers,
    pub instances: Instances,
    pub limits: Limits,
    pub grants: Grants,
    /// What the guest reads as its plugin's configuration.
    pub configuration: Bytes,
    /// The same by name, for components (`wasi:config`): texts as they are, anything else as JSON.
    pub values: BTreeMap<String, String>,
    pub vm: Vm,
    pub environment: BTreeMap<String, String>,
}

/// What runs a function, beside a call by its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Triggers {
    pub http: Vec<HttpTrigger>,
    pub topics: Vec<TopicTrigger>,
    pub schedules: Vec<(String, Schedule)>,
    /// Further ids.
    pub ids: Vec<String>,
}

/// Requests for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTrigger {
    /// Begins with a slash; `/...` or `/*` at the end stands for everything below.
    pub path: String,
    /// Empty: any method.
    pub methods: Vec<Method>,
}

/// Messages of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicTrigger {
    pub pubsub: String,
    pub topic: String,
    /// Empty for none.
    pub dead_letter_topic: String,
    /// Condition (CEL) and path, in order; the last one has no condition.
    pub rules: Vec<(String, String)>,
    pub metadata: Metadata,
}

/// How many guests there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instances {
    pub min: usize,
    pub max: usize,
    /// How long a call waits for a free one.
    pub wait: Duration,
    /// Calls after which a guest is replaced.
    pub calls: u32,
    /// Bytes by which its memory may grow until it is replaced.
    pub growth: usize,
}

/// What one call may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a guest's memory.
    pub memory: usize,
    /// What one callback may compute.
    pub time: Duration,
    /// How long the whole call may take.
    pub timeout: Duration,
    pub fuel: Option<u64>,
    /// Bytes of a body, in and out.
    pub body: usize,
}

/// proxy-wasm's virtual machine: guests with one id share data, queues and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    pub id: String,
    pub root_id: String,
    pub configuration: Bytes,
}

impl Function {
    /// Reads a document of this kind that stood in `file`.
    ///
    /// # Errors
    /// The file, the function, the field, and what is wrong with it.
    pub fn read(file: &Path, document: &Value) -> Result<Self, String> {
        let mut document = document.clone();
        let name = text(&document, &["metadata", "name"]);
        shape::check(&mut document, &shape::DOCUMENT, &|warning| {
            tracing::warn!(target: super::load::RUNTIME, "{}: Function {name}: {warning}", file.display());
        });
        let failed = |reason: String| format!("{}: Function {name}: {reason}", file.display());
        if name.is_empty() {
            return Err(failed("metadata.name is missing".into()));
        }
        let spec = document.get_mut("spec").map(Value::take).unwrap_or_default();
        let spec: FunctionSpec = super::decode::decode(spec).map_err(|error| failed(format!("spec: {error}")))?;
        spec.resolve(&name, file).map_err(|error| failed(format!("spec.{error}")))
    }

    /// The module's file, where it is one.
    pub fn module_file(&self) -> Option<&Path> {
        self.module.strip_prefix("file://").map(Path::new)
    }
}

/// A document's head, for scopes.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Scoped {
    pub metadata: meta::Metadata,
    pub scopes: Vec<String>,
}

impl fmt::Debug for Function {
    /// Configuration and environment may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.name).field("module", &self.module).finish_non_exhaustive()
    }
}

fn text(value: &Value, path: &[&str]) -> String {
    let found = path.iter().try_fold(value, |value, name| value.get(name));
    found.and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    pub(super) fn read(spec: &str) -> Result<Function, String> {
        let text = format!("metadata: {{name: hello}}\nspec:\n{spec}");
        Function::read(Path::new("/etc/functions/hello.yaml"), &yaml::parse(&text).unwrap())
    }

    #[test]
    fn a_module_is_enough() {
        let function = read("  module: hello.wasm\n").unwrap();
        assert_eq!(function.module_file(), Some(Path::new("/etc/functions/hello.wasm")));
        for module in ["file://hello.wasm", "file:///etc/functions/hello.wasm"] {
            let function = read(&format!("  module: {module}\n")).unwrap();
            assert_eq!(function.module_file(), Some(Path::new("/etc/functions/hello.wasm")), "{module}");
        }
        assert_eq!((function.instances.min, function.limits.memory), (0, 64 << 20));
        assert_eq!(function.handler, None);
        assert_eq!(function.vm.id, "hello");
    }

    #[test]
    fn everything_is_read() {
        let function = read(
            r#"
  module: oci://example.com/team/hello:1
  digest: md5:65b2f9a455b26d4b68648f1833b3621a
  handler: id_1
  triggers:
  - http: {path: /hello/..., method: [get, POST]}
  - topic: {pubsub: pubsub, topic: orders, deadLetterTopic: dead, rules: [{match: event.type == "a", path: /a}]}
  - cron: "@every 5s"
  - id: other
  instances: {min: 1, max: 4, wait: 250ms, calls: 1000, growth: 8Mi}
  limits: {memory: 32Mi, time: 50ms, timeout: 3s, fuel: 1000, body: 1Mi}
  grants: {state: [statestore], publish: [pubsub/orders]}
  config: {greeting: hi}
  env: {LANG: C}
  vm: {id: shared, rootId: root, config: x}
"#,
        )
        .unwrap();
        assert_eq!(function.module, "oci://example.com/team/hello:1");
        assert_eq!(function.pins.md5.as_deref(), Some("65b2f9a455b26d4b68648f1833b3621a"));
        assert_eq!(function.triggers.http[0].methods, [Method::GET, Method::POST]);
        let rules = &function.triggers.topics[0].rules;
        assert_eq!(rules[0], ("event.type == \"a\"".to_owned(), "/a".to_owned()));
        assert_eq!(rules[1], (String::new(), "/orders".to_owned()));
        assert_eq!(
            (function.triggers.schedules.len(), function.triggers.ids.as_slice()),
            (1, &["other".to_owned()][..])
        );
        assert_eq!((function.instances.max, function.instances.wait), (4, Duration::from_millis(250)));
        assert_eq!((function.limits.fuel, function.limits.body), (Some(1000), 1 << 20));
        assert_eq!(function.configuration, r#"{"greeting":"hi"}"#);
        assert_eq!(function.vm.configuration, "x");
        assert!(!format!("{function:?}").contains("greeting"));
    }

    #[test]
    fn layottos_form_of_a_configuration_is_a_list_of_pairs() {
        let function = read("  module: a.wasm\n  configFormat: layotto\n  config: {name: id_1}\n").unwrap();
        assert_eq!(&function.configuration[..], b"\x01\0\0\0\x04\0\0\0\x04\0\0\0name\0id_1\0");
    }

    #[test]
    fn mistakes_are_told_with_file_and_field() {
        for (spec, text) in [
            ("  digest: sha256:00\n", "spec.module is missing"),
            ("  module: ftp://x/a.wasm\n", "spec.module: unsupported URL scheme: ftp"),
            ("  module: a.wasm\n  digest: crc:1\n", "spec.digest: 'crc:1' is neither sha256:… nor md5:…"),
            ("  module: a.wasm\n  limits: {memory: 64MB}\n", "spec.limits.memory: '64MB' is no size such as 64Mi"),
            ("  module: a.wasm\n  limits: {time: soon}\n", "spec.limits.time: 'soon' is no duration such as 500ms"),
            ("  module: a.wasm\n  instances: {min: 3, max: 2}\n", "spec.instances: min is 3 and max is 2"),
            (
                "  module: a.wasm\n  triggers: [{http: {path: x}}]\n",
                "spec.triggers[0].http.path: 'x' does not begin with /",
            ),
            ("  module: a.wasm\n  triggers: [{topic: {topic: t}}]\n", "spec.triggers[0].topic.pubsub is missing"),
            ("  module: a.wasm\n  triggers: [{cron: often}]\n", "spec.triggers[0].cron: 'often': "),
            ("  module: a.wasm\n  triggers: [{}]\n", "spec.triggers[0]: it is none of http, topic, cron, id"),
            ("  module: a.wasm\n  configFormat: xml\n", "spec.configFormat: 'xml' is neither bytes nor layotto"),
        ] {
            let error = read(spec).unwrap_err();
            let expected = format!("/etc/functions/hello.yaml: Function hello: {text}");
            assert!(error.starts_with(&expected), "{error}");
        }
    }
}
