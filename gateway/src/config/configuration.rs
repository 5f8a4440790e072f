//! `Configuration`, `dapr.io/v1alpha1`: how the sidecar itself behaves.

pub mod access;
pub mod api;
pub mod metric;
pub mod pipeline;
pub mod tracing;
pub mod workflow;

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

pub use access::{AccessControlSpec, SecretScope, SecretsSpec};
pub use api::{ApiLogging, ApiRule, ApiSpec, LoggingSpec, Protocol};
pub use metric::MetricSpec;
pub use pipeline::{Handler, PipelineSpec};
pub use tracing::{OtelSpec, TracingSpec};
pub use workflow::WorkflowSpec;

use super::decode::{DecodeError, decode};
use super::environment::Environment;
use super::meta::Metadata;
use super::yaml;

/// The effective configuration: defaults, overlaid by each file in turn.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Configuration {
    pub metadata: Metadata,
    pub spec: ConfigurationSpec,
}

/// `spec` of a configuration.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigurationSpec {
    /// Middleware of the API server, outermost first.
    pub http_pipeline: PipelineSpec,
    /// Middleware of calls from the sidecar to the app.
    pub app_http_pipeline: PipelineSpec,
    pub tracing: TracingSpec,
    /// `metric`, overlaid by what the document has under `metrics`.
    pub metric: MetricSpec,
    metrics: Option<MetricSpec>,
    pub secrets: SecretsSpec,
    pub access_control: Option<AccessControlSpec>,
    pub name_resolution: Option<NameResolutionSpec>,
    pub features: Vec<FeatureSpec>,
    pub api: ApiSpec,
    pub components: ComponentsSpec,
    pub logging: LoggingSpec,
    pub wasm: WasmSpec,
    pub workflow: WorkflowSpec,
}

/// Which resolver finds other apps.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NameResolutionSpec {
    /// The bare name, such as `mdns`.
    pub component: String,
    /// Empty means `v1`.
    pub version: String,
    /// Free form, as JSON; `null` when absent.
    pub configuration: Value,
}

/// A feature switched on or off.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct FeatureSpec {
    pub name: String,
    pub enabled: bool,
}

/// Components that may not be used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ComponentsSpec {
    /// `type` or `type/version`, compared exactly.
    pub deny: Vec<String>,
}

/// Rules for wasm components.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WasmSpec {
    /// No clocks, no true randomness, whatever the components say.
    pub strict_sandbox: bool,
}

/// Features that are on unless the configuration says otherwise, as in daprd 1.18.
pub const DEFAULT_FEATURES: [&str; 2] = ["HotReload", "WorkflowsRemoteActivityReminder"];

/// Why a configuration could not be loaded; daprd prints it behind `error loading configuration: `.
#[derive(Debug, thiserror::Error)]
pub enum ConfigurationError {
    #[error("stat {path}: {reason}")]
    Missing { path: String, reason: String },
    #[error("open {path}: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("{path}: {source}")]
    Syntax { path: String, source: yaml::YamlError },
    #[error("{path}: {source}")]
    Shape { path: String, source: DecodeError },
    #[error("{0} storeName is repeated in secrets configuration")]
    RepeatedScope(String),
    #[error("defaultAccess {0} can be either allow or deny")]
    BadAccess(String),
}

impl Configuration {
    /// What applies when no file is given.
    pub fn defaults() -> Self {
        // The literal fits the type; an empty value would only lose the three defaults.
        let mut configuration: Self = decode(default_document()).unwrap_or_default();
        configuration.complete();
        configuration
    }

    /// Reads `files` in turn, each over what the earlier ones gave: mappings merge field by field, lists are replaced.
    /// `$NAME` in the text is replaced from `environment` first.
    pub fn load<P: AsRef<Path>>(files: &[P], environment: &Environment) -> Result<Self, ConfigurationError> {
        let mut document = default_document();
        let mut last = String::new();
        for file in files {
            let path = file.as_ref().display().to_string();
            if let Err(error) = std::fs::metadata(file) {
                return Err(ConfigurationError::Missing { path, reason: os_text(&error) });
            }
            let text = std::fs::read_to_string(file)
                .map_err(|error| ConfigurationError::Unreadable { path: path.clone(), reason: os_text(&error) })?;
            let text = environment.expand(&text);
            let value = yaml::parse_unique(yaml::first_document(&text))
                .map_err(|source| ConfigurationError::Syntax { path: path.clone(), source })?;
            overlay(&mut document, value);
            // Reported with the file that introduced the trouble.
            decode::<Self>(document.clone())
                .map_err(|source| ConfigurationError::Shape { path: path.clone(), source })?;
            last = path;
        }
        let mut configuration: Self =
            decode(document).map_err(|source| ConfigurationError::Shape { path: last, source })?;
        configuration.spec.secrets.validate()?;
        configuration.complete();
        Ok(configuration)
    }

    /// One document that did not come from a file, such as the operator's.
    pub fn from_value(value: Value) -> Result<Self, ConfigurationError> {
        let mut document = default_document();
        overlay(&mut document, value);
        let path = "configuration".to_owned();
        let mut configuration: Self = decode(document).map_err(|source| ConfigurationError::Shape { path, source })?;
        configuration.spec.secrets.validate()?;
        configuration.complete();
        Ok(configuration)
    }

    fn complete(&mut self) {
        if let Some(metrics) = self.spec.metrics.take() {
            self.spec.metric.overlay(metrics);
        }
        for name in DEFAULT_FEATURES {
            if !self.spec.features.iter().any(|feature| feature.name == name) {
                self.spec.features.push(FeatureSpec { name: name.to_owned(), enabled: true });
            }
        }
    }

    /// Names of the features that are on, each once: those of the document first, then the defaults.
    pub fn enabled_features(&self) -> Vec<&str> {
        let mut enabled: Vec<&str> = Vec::new();
        for feature in self.spec.features.iter().filter(|feature| !feature.name.is_empty()) {
            enabled.retain(|name| *name != feature.name);
            if feature.enabled {
                enabled.push(&feature.name);
            }
        }
        enabled
    }

    /// Whether the feature `name` is on.
    pub fn is_enabled(&self, name: &str) -> bool {
        self.enabled_features().contains(&name)
    }
}

fn default_document() -> Value {
    json!({"spec": {
        "tracing": {"otel": {"isSecure": true}},
        "metric": {"enabled": true},
        "accessControl": {"defaultAction": "allow", "trustDomain": "public"},
    }})
}

/// Puts `over` on top of `base`: mappings merge, everything else replaces, `null` takes away.
fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    _ if value.is_null() => {
                        base.remove(&key);
                    }
                    Some(slot) => overlay(slot, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        // An empty document changes nothing.
        (_, Value::Null) => {}
        (base, over) => *base = over,
    }
}

/// What the system says, in Go's words.
pub(crate) fn os_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        std::io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn load(texts: &[&str], environment: &Environment) -> Result<Configuration, ConfigurationError> {
        let files: Vec<_> = texts
            .iter()
            .map(|text| {
                let mut file = tempfile::NamedTempFile::new().unwrap();
                file.write_all(text.as_bytes()).unwrap();
                file
            })
            .collect();
        Configuration::load(&files, environment)
    }

    fn document(spec: &str) -> String {
        format!("apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: c}}\nspec: {spec}\n")
    }

    #[test]
    fn without_files_the_defaults_hold() {
        let configuration = Configuration::defaults();
        assert!(configuration.spec.metric.is_enabled());
        assert_eq!(configuration.spec.access_control.as_ref().unwrap().default_action, "allow");
        assert_eq!(configuration.spec.tracing.otel.is_secure, Some(true));
        assert_eq!(configuration.enabled_features(), DEFAULT_FEATURES);
    }

    #[test]
    fn later_files_overlay_fields_and_replace_lists() {
        let first = document("{tracing: {samplingRate: '1', stdout: true}, features: [{name: A, enabled: true}]}");
        let second = document("{tracing: {stdout: false}, features: [{name: HotReload, enabled: false}]}");
        let configuration = load(&[&first, &second], &Environment::default()).unwrap();
        assert_eq!(configuration.spec.tracing.sampling_rate, "1");
        assert!(!configuration.spec.tracing.stdout);
        assert_eq!(configuration.enabled_features(), ["WorkflowsRemoteActivityReminder"]);
    }

    #[test]
    fn variables_are_expanded() {
        let text = document("{tracing: {zipkin: {endpointAddress: 'http://$HOST/x'}}}");
        let configuration = load(&[&text], &Environment::new([("HOST", "zipkin")])).unwrap();
        assert_eq!(configuration.spec.tracing.zipkin.endpoint_address, "http://zipkin/x");
    }

    #[test]
    fn metrics_win_over_metric() {
        let text = document("{metric: {enabled: true, recordErrorCodes: true}, metrics: {enabled: false}}");
        let configuration = load(&[&text], &Environment::default()).unwrap();
        assert!(!configuration.spec.metric.is_enabled());
        assert!(configuration.spec.metric.records_error_codes());
    }

    #[test]
    fn bad_secret_scopes_end_the_start() {
        let text = document("{secrets: {scopes: [{storeName: a}, {storeName: a}]}}");
        let error = load(&[&text], &Environment::default()).unwrap_err();
        assert_eq!(error.to_string(), "a storeName is repeated in secrets configuration");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Configuration::load(&["no-such.yaml"], &Environment::default()).unwrap_err();
        assert_eq!(error.to_string(), "stat no-such.yaml: no such file or directory");
    }

    #[test]
    fn only_the_first_document_counts() {
        let text = format!("{}---\nspec: [broken", document("{tracing: {samplingRate: '0'}}"));
        assert_eq!(load(&[&text], &Environment::default()).unwrap().spec.tracing.sampling_rate, "0");
    }
}
