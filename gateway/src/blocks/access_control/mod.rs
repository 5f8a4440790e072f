//! Access control: which apps may call which methods of this one (as daprd 1.18, `spec.accessControl`).
//!
//! Judged on the callee's side, by the identity in the caller's certificate. Without a certificate the default decides.

use std::collections::HashMap;
use std::fmt;

use crate::blocks::invoke::Verb;
use crate::config::configuration::AccessControlSpec;
use crate::config::configuration::access::AppPolicy;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::AclDecision;

mod paths;

use paths::Paths;

/// Who calls: read from the certificate that the listener has verified, and put into the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub trust_domain: String,
    pub namespace: String,
    pub app_id: String,
}

impl fmt::Display for Caller {
    /// The SPIFFE id.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/ns/{}/{}", self.trust_domain, self.namespace, self.app_id)
    }
}

/// A specification that cannot be used. The text is daprd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid access control spec. missing trustdomain for apps: [{}], missing namespace for apps: [{}], missing app name on at least one of the app policies: {}",
    .no_trust_domain.join(" "), .no_namespace.join(" "), .no_app
)]
pub struct AccessControlError {
    no_trust_domain: Vec<String>,
    no_namespace: Vec<String>,
    no_app: bool,
}

/// The rules.
#[derive(Debug)]
pub struct AccessControl {
    allows_by_default: bool,
    /// By app and namespace.
    policies: HashMap<(String, String), Policy>,
    is_http: bool,
}

#[derive(Debug)]
struct Policy {
    trust_domain: String,
    /// Empty: the global default goes on to hold.
    default_action: String,
    operations: Paths<Operation>,
}

/// What holds for the operations below a path.
#[derive(Debug)]
struct Operation {
    /// HTTP verb (or `*`) to action.
    verbs: Vec<(String, String)>,
    action: String,
}

/// A call that is to be judged.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    pub caller: Option<&'a Caller>,
    /// The normalised method.
    pub operation: &'a str,
    pub verb: Verb,
    /// Whether the application speaks HTTP and the call is no gRPC call that is relayed: then verbs count, and case
    /// does not.
    pub is_http: bool,
}

impl AccessControl {
    /// `None` for a specification without any rule. `is_http`: what the application speaks.
    pub fn new(spec: &AccessControlSpec, is_http: bool) -> Result<Option<Self>, AccessControlError> {
        if spec.trust_domain.is_empty() && spec.default_action.is_empty() && spec.policies.is_empty() {
            return Ok(None);
        }
        if spec.default_action.is_empty() {
            // What is not said is denied, also when there is no policy.
            tracing::warn!(
                target: "dapr.acl",
                "No global default action has been specified. Setting default global action as Deny"
            );
        }
        check(spec)?;
        let policies = spec
            .policies
            .iter()
            .map(|policy| ((policy.app_id.clone(), policy.namespace.clone()), Policy::new(policy, is_http)));
        Ok(Some(Self { allows_by_default: allows(&spec.default_action), policies: policies.collect(), is_http }))
    }

    /// Whether the application is an HTTP one.
    pub fn is_http(&self) -> bool {
        self.is_http
    }

    /// The error is the message for a caller that is refused.
    pub fn check(&self, access: &Access<'_>, metrics: &Metrics) -> Result<(), String> {
        let (allowed, by_app_policy) = self.decide(access);
        let (app_id, namespace, trust_domain) =
            access.caller.map_or(("", "", ""), |caller| (&caller.app_id, &caller.namespace, &caller.trust_domain));
        metrics.acl(&AclDecision { app_id, namespace, trust_domain, allowed, by_app_policy });
        if allowed {
            return Ok(());
        }
        let id = access.caller.map(ToString::to_string).unwrap_or_default();
        let Access { operation, verb, .. } = access;
        let verb = verb.method();
        let message =
            format!("access control policy has denied access to id: {id} operation: {operation} verb: {verb}");
        tracing::debug!(target: "dapr.acl", "{message}");
        Err(message)
    }

    /// Whether the call may be made, and whether the caller's own policy has said so.
    fn decide(&self, access: &Access<'_>) -> (bool, bool) {
        let by_default = (self.allows_by_default, false);
        let Some(caller) = access.caller else { return by_default };
        let key = (caller.app_id.clone(), caller.namespace.clone());
        let Some(policy) = self.policies.get(&key).filter(|policy| policy.trust_domain == caller.trust_domain) else {
            return by_default;
        };
        let (allowed, by_app_policy) = match policy.default_action.as_str() {
            "" => by_default,
            action => (allows(action), true),
        };
        let operation = rooted(access.operation, access.is_http);
        let Some(found) = policy.operations.find(&operation) else { return (allowed, by_app_policy) };
        if !access.is_http {
            return (allows(&found.action), by_app_policy);
        }
        if access.verb == Verb::NONE {
            return (allows(&policy.default_action), by_app_policy);
        }
        let verb = access.verb.method();
        let action =
            |name: &str| found.verbs.iter().rev().find(|(verb, _)| verb == name).map(|(_, action)| allows(action));
        (action(verb.as_str()).or_else(|| action("*")).unwrap_or(allowed), by_app_policy)
    }
}

impl Policy {
    fn new(spec: &AppPolicy, is_http: bool) -> Self {
        let mut operations = Paths::default();
        for operation in &spec.operations {
            let action = operation.action.clone();
            let verbs = operation.http_verb.iter().map(|verb| (verb.clone(), action.clone())).collect();
            operations.insert(&rooted(&operation.name, is_http), Operation { verbs, action });
        }
        Self { trust_domain: spec.trust_domain.clone(), default_action: spec.default_action.clone(), operations }
    }
}

fn check(spec: &AccessControlSpec) -> Result<(), AccessControlError> {
    let missing = |is_missing: fn(&AppPolicy) -> bool| -> Vec<String> {
        spec.policies.iter().filter(|policy| is_missing(policy)).map(|policy| policy.app_id.clone()).collect()
    };
    let error = AccessControlError {
        no_trust_domain: missing(|policy| policy.trust_domain.is_empty()),
        no_namespace: missing(|policy| policy.namespace.is_empty()),
        no_app: spec.policies.iter().any(|policy| policy.app_id.is_empty()),
    };
    let is_fine = error.no_trust_domain.is_empty() && error.no_namespace.is_empty() && !error.no_app;
    if is_fine { Ok(()) } else { Err(error) }
}

fn allows(action: &str) -> bool {
    action.eq_ignore_ascii_case("allow")
}

fn rooted(operation: &str, is_http: bool) -> String {
    let slash = if operation.starts_with('/') { "" } else { "/" };
    let rooted = format!("{slash}{operation}");
    if is_http { rooted.to_lowercase() } else { rooted }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::config::decode::decode;
    use crate::config::yaml;

    const RULES: &str = "
defaultAction: deny
trustDomain: public
policies:
- appId: shop
  defaultAction: deny
  trustDomain: public
  namespace: default
  operations:
  - {name: /Public, httpVerb: [GET, POST], action: allow}
  - {name: /any, httpVerb: ['*'], action: allow}
  - {name: /items/*, httpVerb: ['*'], action: allow}
  - {name: /deep/**, httpVerb: ['*'], action: allow}
- appId: bank
  defaultAction: allow
  trustDomain: public
  namespace: default
  operations:
  - {name: /secret, httpVerb: ['*'], action: deny}
- appId: plain
  trustDomain: public
  namespace: default
";

    fn rules(is_http: bool) -> AccessControl {
        AccessControl::new(&decode(yaml::parse(RULES).unwrap()).unwrap(), is_http).unwrap().unwrap()
    }

    fn caller(app: &str) -> Caller {
        Caller { trust_domain: "public".into(), namespace: "default".into(), app_id: app.into() }
    }

    fn allowed(app: &str, verb: &str, operation: &str) -> bool {
        let caller = caller(app);
        let verb = Verb::of(&Method::from_bytes(verb.as_bytes()).unwrap());
        let access = Access { caller: Some(&caller), operation, verb, is_http: true };
        rules(true).check(&access, &Metrics::disabled()).is_ok()
    }

    #[test]
    fn http_calls_are_judged_by_path_and_verb() {
        for (app, verb, operation, expected) in [
            ("shop", "GET", "public", true),
            ("shop", "GET", "PUBLIC", true),
            ("shop", "DELETE", "public", false),
            ("shop", "GET", "public/extra", true),
            ("shop", "GET", "publicity", false),
            ("shop", "PUT", "any", true),
            ("shop", "GET", "items/1", true),
            ("shop", "GET", "items/1/2", false),
            ("shop", "GET", "deep/1/2", true),
            ("shop", "GET", "other", false),
            ("bank", "GET", "other", true),
            ("bank", "GET", "secret", false),
            ("plain", "GET", "x", false),
            ("stranger", "GET", "public", false),
        ] {
            assert_eq!(allowed(app, verb, operation), expected, "{app} {verb} {operation}");
        }
    }

    #[test]
    fn grpc_calls_are_judged_by_name_in_its_case() {
        let shop = caller("shop");
        let ask = |operation| {
            let access = Access { caller: Some(&shop), operation, verb: Verb::NONE, is_http: false };
            rules(false).check(&access, &Metrics::disabled()).is_ok()
        };
        assert!(ask("Public"));
        assert!(!ask("public"));
    }

    #[test]
    fn a_refusal_names_caller_and_call() {
        let shop = caller("shop");
        let access = Access { caller: Some(&shop), operation: "other", verb: Verb::of(&Method::GET), is_http: true };
        assert_eq!(
            rules(true).check(&access, &Metrics::disabled()).unwrap_err(),
            "access control policy has denied access to id: spiffe://public/ns/default/shop operation: other verb: GET"
        );
        let unknown = Access { caller: None, ..access };
        assert!(rules(true).check(&unknown, &Metrics::disabled()).unwrap_err().contains("to id:  operation"));
    }

    #[test]
    fn specifications_are_checked() {
        assert!(AccessControl::new(&AccessControlSpec::default(), true).unwrap().is_none());
        let spec: AccessControlSpec =
            decode(yaml::parse("{policies: [{appId: a, namespace: n}, {appId: b, trustDomain: t}]}").unwrap()).unwrap();
        assert_eq!(
            AccessControl::new(&spec, true).unwrap_err().to_string(),
            "invalid access control spec. missing trustdomain for apps: [a], missing namespace for apps: [b], missing app name on at least one of the app policies: false"
        );
    }
}
