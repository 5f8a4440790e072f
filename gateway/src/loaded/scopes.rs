//! Who may use which topic of a broker: `publishingScopes`, `subscriptionScopes`, `allowedTopics`, `protectedTopics`
//! (as daprd 1.18).

use components::metadata::Properties;

#[derive(Debug, Clone, Default)]
pub struct Scopes {
    allowed: Vec<String>,
    protected: Vec<String>,
    publishing: Vec<String>,
    subscription: Vec<String>,
}

impl Scopes {
    /// From the component's properties, as far as they are about `app_id`.
    pub fn new(properties: &Properties, app_id: &str) -> Self {
        let list = |name: &str| -> Vec<String> {
            let text = without_spaces(properties.get(&[name]));
            if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
        };
        Self {
            allowed: list("allowedTopics"),
            protected: list("protectedTopics"),
            publishing: scoped(properties.get(&["publishingScopes"]), app_id),
            subscription: scoped(properties.get(&["subscriptionScopes"]), app_id),
        }
    }

    pub fn may_publish(&self, topic: &str) -> bool {
        self.allows(topic, &self.publishing)
    }

    pub fn may_subscribe(&self, topic: &str) -> bool {
        self.allows(topic, &self.subscription)
    }

    fn allows(&self, topic: &str, scope: &[String]) -> bool {
        let contains = |list: &[String]| list.iter().any(|entry| entry == topic);
        if !self.allowed.is_empty() && !contains(&self.allowed) {
            return false;
        }
        if !contains(&self.protected) && scope.is_empty() {
            return true;
        }
        contains(scope)
    }
}

fn without_spaces(text: Option<&str>) -> String {
    text.unwrap_or_default().replace(' ', "")
}

/// The topics of `app1=topic1,topic2;app2=topic3` for one app. An app with an empty list has the one topic "".
fn scoped(text: Option<&str>, app_id: &str) -> Vec<String> {
    without_spaces(text)
        .split(';')
        .filter_map(|entry| {
            let mut parts = entry.split('=');
            let (app, topics) = (parts.next()?, parts.next()?);
            (app == app_id).then(|| topics.split(',').map(str::to_owned).collect::<Vec<_>>())
        })
        .flatten()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(entries: &[(&str, &str)]) -> Scopes {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Scopes::new(&Properties::new(entries), "me")
    }

    #[test]
    fn an_unlisted_app_may_use_everything_but_protected_topics() {
        let scopes = scopes(&[("PublishingScopes", "other=a"), ("protectedTopics", "p")]);
        assert!(scopes.may_publish("a"));
        assert!(!scopes.may_publish("p"));
    }

    #[test]
    fn a_listed_app_may_use_its_topics_only() {
        let scopes = scopes(&[("publishingScopes", "me = a, b; x=c"), ("subscriptionScopes", "me=")]);
        assert!(scopes.may_publish("b"));
        assert!(!scopes.may_publish("c"));
        assert!(!scopes.may_subscribe("a"));
    }

    #[test]
    fn allowed_topics_bound_everything() {
        let scopes = scopes(&[("allowedTopics", "a,b")]);
        assert!(scopes.may_subscribe("a"));
        assert!(!scopes.may_subscribe("c"));
    }
}
