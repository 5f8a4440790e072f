//! `Component`, `dapr.io/v1alpha1`.

use std::collections::BTreeMap;
use std::time::Duration;

use components::metadata::Properties;
use serde::Deserialize;

use super::duration::GoDuration;
use super::environment::Environment;
use super::meta::{Auth, Metadata, Resource, SecretKeyRef};
use super::template::{Identity, TemplateError};
use super::value::DynamicValue;

/// What `spec.initTimeout` is when it is absent or no duration.
pub const DEFAULT_INIT_TIMEOUT: Duration = Duration::from_secs(5);

/// A component as written: values, references to secrets and environment variables, templates.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Component {
    pub metadata: Metadata,
    pub spec: ComponentSpec,
    pub auth: Auth,
    pub scopes: Vec<String>,
}

/// `spec` of a component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ComponentSpec {
    /// `<kind>.<name>`, for example `state.redis`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `v1`, or empty.
    pub version: String,
    /// Go on without the component when it cannot be built.
    pub ignore_errors: bool,
    /// A Go duration; read it through [`Component::init_timeout`].
    pub init_timeout: String,
    /// The properties, in order.
    pub metadata: Vec<Property>,
}

/// A named value, or where to find it. Also a header of an HTTP endpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Property {
    pub name: String,
    pub value: Option<DynamicValue>,
    pub secret_key_ref: SecretKeyRef,
    /// Name of an environment variable; used only when there is no value.
    pub env_ref: String,
}

/// Secrets that were fetched for a resource: secret name to its fields.
pub type Secrets = BTreeMap<String, BTreeMap<String, String>>;

impl Resource for Component {
    const API_VERSION: &'static str = "dapr.io/v1alpha1";
    const KIND: &'static str = "Component";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn log_name(&self) -> String {
        log_name(&self.metadata.name, &self.spec.kind, &self.spec.version)
    }
}

/// How daprd names a component: `name (type/version)`, without the version when there is none.
pub fn log_name(name: &str, kind: &str, version: &str) -> String {
    if version.is_empty() { format!("{name} ({kind})") } else { format!("{name} ({kind}/{version})") }
}

impl Component {
    /// How long building may take. A text that is no duration silently means the default, as in daprd 1.18.
    pub fn init_timeout(&self) -> Duration {
        self.spec.init_timeout.parse::<GoDuration>().ok().and_then(GoDuration::to_std).unwrap_or(DEFAULT_INIT_TIMEOUT)
    }

    /// The part of the type before its first dot: `state` of `state.redis`.
    pub fn block(&self) -> &str {
        self.spec.kind.split('.').next().unwrap_or_default()
    }

    /// Names of the secrets that properties refer to, each once, in order of first mention.
    pub fn secret_names(&self) -> Vec<&str> {
        secret_names(&self.spec.metadata)
    }

    /// Whether a value contains the `{namespace}` template: such a pubsub prefixes its topics with the namespace.
    pub fn is_namespace_scoped(&self) -> bool {
        self.spec.metadata.iter().any(|property| property.literal().contains("{namespace}"))
    }

    /// The properties with everything put in: secrets, environment variables, templates.
    ///
    /// A secret that is absent or empty leaves the property as written (empty, as a rule).
    pub fn properties(
        &self,
        secrets: &Secrets,
        environment: &Environment,
        identity: &Identity,
    ) -> Result<Resolved, TemplateError> {
        let mut refused = Vec::new();
        let mut entries = Vec::with_capacity(self.spec.metadata.len());
        for property in &self.spec.metadata {
            let (text, denied) = property.resolve(secrets, environment);
            if denied {
                refused.push(property.env_ref.clone());
            }
            entries.push((property.name.clone(), identity.apply(&property.name, text)?));
        }
        Ok(Resolved { properties: Properties::new(entries), refused_variables: refused })
    }
}

/// The outcome of [`Component::properties`].
#[derive(Debug)]
pub struct Resolved {
    pub properties: Properties,
    /// `envRef`s that no resource may read; log them as daprd does: `Component {name} references an env variable that
    /// isn't allowed: {variable}` (warning, scope `dapr.runtime.processor.secret`).
    pub refused_variables: Vec<String>,
}

/// Names of the secrets that `properties` refer to, each once.
pub fn secret_names(properties: &[Property]) -> Vec<&str> {
    let mut names = Vec::new();
    for property in properties {
        let name = property.secret_key_ref.name.as_str();
        if !name.is_empty() && !property.reads_environment() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

impl Property {
    /// The value as written, empty when there is none.
    pub fn literal(&self) -> String {
        self.value.as_ref().map(DynamicValue::text).unwrap_or_default()
    }

    fn reads_environment(&self) -> bool {
        self.value.is_none() && !self.env_ref.is_empty()
    }

    /// The value with secret or variable put in, and whether a variable was refused. Templates stay.
    pub fn resolve(&self, secrets: &Secrets, environment: &Environment) -> (String, bool) {
        if self.reads_environment() {
            return if is_variable_allowed(&self.env_ref, environment) {
                (environment.get(&self.env_ref).unwrap_or_default().to_owned(), false)
            } else {
                (String::new(), true)
            };
        }
        let secret = secrets
            .get(&self.secret_key_ref.name)
            .and_then(|secret| secret.get(self.secret_key_ref.field()))
            .filter(|value| !value.is_empty());
        (secret.cloned().unwrap_or_else(|| self.literal()), false)
    }
}

/// Whether a resource may read the environment variable `name`: tokens and daprd's own variables are out of reach, and
/// `DAPR_ENV_KEYS` (names with spaces between them) limits the rest.
pub fn is_variable_allowed(name: &str, environment: &Environment) -> bool {
    let name = name.to_uppercase();
    if name.is_empty() || name == "APP_API_TOKEN" || name.starts_with("DAPR_") || name.contains(' ') {
        return false;
    }
    match environment.non_empty("DAPR_ENV_KEYS") {
        Some(allowed) => allowed.split(' ').any(|entry| entry == name),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    fn component(metadata: serde_json::Value) -> Component {
        decode(json!({
            "metadata": {"name": "store"},
            "spec": {"type": "state.redis", "version": "v1", "metadata": metadata},
            "auth": {"secretStore": "vault"},
        }))
        .unwrap()
    }

    fn resolve(component: &Component, secrets: &Secrets, environment: &Environment) -> BTreeMap<String, String> {
        let resolved = component.properties(secrets, environment, &Identity::default()).unwrap();
        resolved.properties.entries().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn names_itself_with_type_and_version() {
        assert_eq!(component(json!([])).log_name(), "store (state.redis/v1)");
        assert_eq!(log_name("a", "state.x", ""), "a (state.x)");
    }

    #[test]
    fn secrets_take_their_own_name_as_field() {
        let component = component(json!([
            {"name": "a", "secretKeyRef": {"name": "s", "key": "k"}},
            {"name": "b", "secretKeyRef": {"name": "s"}},
            {"name": "c", "value": "kept", "secretKeyRef": {"name": "absent"}},
        ]));
        assert_eq!(component.secret_names(), ["s", "absent"]);
        let secrets =
            Secrets::from([("s".into(), BTreeMap::from([("k".into(), "one".into()), ("s".into(), "two".into())]))]);
        let values = resolve(&component, &secrets, &Environment::default());
        assert_eq!(
            values,
            BTreeMap::from(["a:one", "b:two", "c:kept"].map(|pair| {
                let (name, value) = pair.split_once(':').unwrap();
                (name.to_owned(), value.to_owned())
            }))
        );
    }

    #[test]
    fn variables_are_read_unless_refused() {
        let component = component(json!([
            {"name": "a", "envRef": "CITY"},
            {"name": "b", "envRef": "dapr_api_token"},
            {"name": "c", "value": "v", "envRef": "CITY"},
        ]));
        let environment = Environment::new([("CITY", "Rome"), ("dapr_api_token", "x")]);
        let values = resolve(&component, &Secrets::new(), &environment);
        assert_eq!((values["a"].as_str(), values["b"].as_str(), values["c"].as_str()), ("Rome", "", "v"));
        let resolved = component.properties(&Secrets::new(), &environment, &Identity::default()).unwrap();
        assert_eq!(resolved.refused_variables, ["dapr_api_token"]);
    }

    #[test]
    fn the_list_of_variables_limits_what_is_read() {
        let environment = Environment::new([("DAPR_ENV_KEYS", "CITY RIVER")]);
        assert!(is_variable_allowed("city", &environment));
        assert!(!is_variable_allowed("CIT", &environment));
        assert!(!is_variable_allowed("LAKE", &environment));
    }

    #[test]
    fn bad_init_timeouts_are_the_default() {
        let mut component = component(json!([]));
        assert_eq!(component.init_timeout(), DEFAULT_INIT_TIMEOUT);
        component.spec.init_timeout = "1m30s".into();
        assert_eq!(component.init_timeout(), Duration::from_secs(90));
        component.spec.init_timeout = "soon".into();
        assert_eq!(component.init_timeout(), DEFAULT_INIT_TIMEOUT);
    }

    #[test]
    fn values_never_print() {
        let component = component(json!([{"name": "password", "value": "hunter2"}]));
        assert!(!format!("{component:?}").contains("hunter2"));
    }
}
