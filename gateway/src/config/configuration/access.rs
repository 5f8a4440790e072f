//! Who may call this app, and which secrets it may read.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::ConfigurationError;

/// Rules for calls from other apps; judged on the callee's side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AccessControlSpec {
    /// `allow` or `deny`.
    pub default_action: String,
    pub trust_domain: String,
    pub policies: Vec<AppPolicy>,
}

/// Rules for one caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AppPolicy {
    pub app_id: String,
    pub default_action: String,
    pub trust_domain: String,
    pub namespace: String,
    pub operations: Vec<AppOperation>,
}

/// A path (or gRPC method), the verbs and what happens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AppOperation {
    pub name: String,
    pub http_verb: Vec<String>,
    pub action: String,
}

/// Which secrets the app may read through the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SecretsSpec {
    pub scopes: Vec<SecretScope>,
}

/// Rules for one secret store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SecretScope {
    pub store_name: String,
    /// `allow` (default) or `deny`, in any case.
    pub default_access: String,
    /// When there are any, only these.
    pub allowed_secrets: Vec<String>,
    pub denied_secrets: Vec<String>,
}

impl SecretsSpec {
    /// The scope of a store, if it has one.
    pub fn scope(&self, store: &str) -> Option<&SecretScope> {
        self.scopes.iter().find(|scope| scope.store_name == store)
    }

    /// Whether the app may read `secret` of `store`.
    pub fn allows(&self, store: &str, secret: &str) -> bool {
        self.scope(store).is_none_or(|scope| scope.allows(secret))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigurationError> {
        let mut seen = BTreeSet::new();
        for scope in &self.scopes {
            if seen.contains(&scope.store_name) {
                return Err(ConfigurationError::RepeatedScope(scope.store_name.clone()));
            }
            let known = ["", "allow", "deny"].iter().any(|word| word.eq_ignore_ascii_case(&scope.default_access));
            if !known {
                return Err(ConfigurationError::BadAccess(scope.default_access.clone()));
            }
            seen.insert(&scope.store_name);
        }
        Ok(())
    }
}

impl SecretScope {
    /// Whether the scope lets `secret` through: the allow list alone when there is one, else the deny list, else the default.
    pub fn allows(&self, secret: &str) -> bool {
        if !self.allowed_secrets.is_empty() {
            return self.allowed_secrets.iter().any(|name| name == secret);
        }
        !self.denied_secrets.iter().any(|name| name == secret) && !self.default_access.eq_ignore_ascii_case("deny")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(access: &str, allowed: &[&str], denied: &[&str]) -> SecretScope {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SecretScope {
            store_name: "s".into(),
            default_access: access.into(),
            allowed_secrets: list(allowed),
            denied_secrets: list(denied),
        }
    }

    #[test]
    fn an_allow_list_is_exclusive() {
        let scope = scope("allow", &["a"], &["a"]);
        assert!(scope.allows("a"));
        assert!(!scope.allows("b"));
    }

    #[test]
    fn a_deny_list_takes_away_from_the_default() {
        assert!(!scope("", &[], &["a"]).allows("a"));
        assert!(scope("", &[], &["a"]).allows("b"));
        assert!(!scope("DENY", &[], &[]).allows("b"));
    }

    #[test]
    fn a_store_without_scope_is_open() {
        assert!(SecretsSpec::default().allows("s", "a"));
    }

    #[test]
    fn unknown_access_words_are_errors() {
        let spec = SecretsSpec { scopes: vec![scope("maybe", &[], &[])] };
        assert_eq!(spec.validate().unwrap_err().to_string(), "defaultAccess maybe can be either allow or deny");
    }
}
