//! Which calls a function may make: named one by one, everything else is refused.

use serde::Deserialize;

/// The `grants` of a function. A name may end in `*`, which stands for whatever follows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Grants {
    /// State stores: `statestore`, or `statestore:read` for what does not change anything.
    pub state: Vec<String>,
    /// Topics: `pubsub/topic`.
    pub publish: Vec<String>,
    /// Secrets: `store/name`.
    pub secrets: Vec<String>,
    /// Functions and applications: `id`, or `id/method`.
    pub invoke: Vec<String>,
    /// Output bindings: `name`, or `name/operation`.
    pub bindings: Vec<String>,
    /// Hosts outside: `https://api.example.com`, with a port where it is not the scheme's.
    pub hosts: Vec<String>,
}

impl Grants {
    /// What must be added for a call that is not granted, as a line of the manifest; `None`: it is granted.
    pub fn missing_state(&self, store: &str, is_read: bool) -> Option<String> {
        let granted = self.state.iter().any(|name| match name.strip_suffix(":read") {
            Some(name) => is_read && covers(name, store),
            None => covers(name, store),
        });
        let access = if is_read { ":read" } else { "" };
        (!granted).then(|| format!("state: [\"{store}{access}\"]"))
    }

    pub fn missing_publish(&self, pubsub: &str, topic: &str) -> Option<String> {
        missing("publish", &self.publish, &[&format!("{pubsub}/{topic}")])
    }

    pub fn missing_secret(&self, store: &str, name: &str) -> Option<String> {
        missing("secrets", &self.secrets, &[&format!("{store}/{name}")])
    }

    pub fn missing_invoke(&self, id: &str, method: &str) -> Option<String> {
        let method = method.trim_start_matches('/');
        missing("invoke", &self.invoke, &[id, &format!("{id}/{method}")])
    }

    pub fn missing_binding(&self, name: &str, operation: &str) -> Option<String> {
        missing("bindings", &self.bindings, &[name, &format!("{name}/{operation}")])
    }

    /// `origin` is the scheme and authority of a URI.
    pub fn missing_host(&self, origin: &str) -> Option<String> {
        missing("hosts", &self.hosts, &[origin])
    }
}

/// `names`: the forms in which the call may be granted, the shortest first, which the advice gives.
fn missing(list: &str, granted: &[String], names: &[&str]) -> Option<String> {
    let is_granted = granted.iter().any(|pattern| names.iter().any(|name| covers(pattern, name)));
    (!is_granted).then(|| format!("{list}: [\"{}\"]", names.first().copied().unwrap_or_default()))
}

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn nothing_is_granted_unless_named() {
        let none = Grants::default();
        assert_eq!(none.missing_state("orders", false).as_deref(), Some("state: [\"orders\"]"));
        assert_eq!(none.missing_publish("p", "t").as_deref(), Some("publish: [\"p/t\"]"));
        assert_eq!(none.missing_secret("s", "n").as_deref(), Some("secrets: [\"s/n\"]"));
        assert_eq!(none.missing_invoke("app", "/do").as_deref(), Some("invoke: [\"app\"]"));
        assert_eq!(none.missing_binding("b", "create").as_deref(), Some("bindings: [\"b\"]"));
        assert_eq!(none.missing_host("https://x").as_deref(), Some("hosts: [\"https://x\"]"));
    }

    #[test]
    fn reading_can_be_granted_alone() {
        let grants = Grants { state: list(&["orders:read"]), ..Grants::default() };
        assert_eq!(grants.missing_state("orders", true), None);
        assert!(grants.missing_state("orders", false).is_some());
    }

    #[test]
    fn a_star_stands_for_what_follows() {
        let grants =
            Grants { publish: list(&["p/orders-*"]), invoke: list(&["app/read*", "id_2"]), ..Grants::default() };
        assert_eq!(grants.missing_publish("p", "orders-new"), None);
        assert!(grants.missing_publish("p", "order").is_some());
        assert_eq!(grants.missing_invoke("app", "/readings"), None);
        assert!(grants.missing_invoke("app", "/write").is_some());
        assert_eq!(grants.missing_invoke("id_2", "anything"), None);
    }
}
