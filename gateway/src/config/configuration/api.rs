//! Which APIs are served, and how calls are logged.

use std::collections::BTreeSet;

use serde::Deserialize;

/// Allow and deny lists of APIs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiSpec {
    pub allowed: Vec<ApiRule>,
    pub denied: Vec<ApiRule>,
}

/// One API in one version on one protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ApiRule {
    pub name: String,
    pub version: String,
    /// `http` or `grpc`, in any case.
    pub protocol: String,
}

/// The front that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Grpc,
}

impl Protocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Grpc => "grpc",
        }
    }
}

/// The entries of `rules` for `protocol`, each as `version/name`.
pub fn rules_for(rules: &[ApiRule], protocol: Protocol) -> BTreeSet<String> {
    rules
        .iter()
        .filter(|rule| rule.protocol.eq_ignore_ascii_case(protocol.as_str()))
        .map(|rule| format!("{}/{}", rule.version, rule.name))
        .collect()
}

/// `spec.logging`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoggingSpec {
    pub api_logging: ApiLogging,
}

/// How calls to the API are logged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ApiLogging {
    /// The flag `--enable-api-logging` wins over it.
    pub enabled: bool,
    /// Log the route's name in place of the path.
    #[serde(rename = "obfuscateURLs")]
    pub obfuscate_urls: bool,
    pub omit_health_checks: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_split_by_protocol() {
        let rule = |name: &str, protocol: &str| ApiRule {
            name: name.into(),
            version: "v1.0".into(),
            protocol: protocol.into(),
        };
        let rules = [rule("state", "HTTP"), rule("publish", "grpc"), rule("invoke", "http")];
        assert_eq!(rules_for(&rules, Protocol::Http), BTreeSet::from(["v1.0/state".into(), "v1.0/invoke".into()]));
        assert_eq!(rules_for(&rules, Protocol::Grpc), BTreeSet::from(["v1.0/publish".into()]));
    }
}
