//! `Subscription`, `dapr.io/v1alpha1` and `dapr.io/v2alpha1`, as one form.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::meta::{Metadata, Resource};

/// A declarative subscription in the form of v2alpha1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Subscription {
    pub metadata: Metadata,
    pub spec: SubscriptionSpec,
    pub scopes: Vec<String>,
}

/// `spec` of a subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionSpec {
    #[serde(rename = "pubsubname")]
    pub pubsub_name: String,
    pub topic: String,
    pub metadata: BTreeMap<String, String>,
    pub routes: Routes,
    /// Empty for none.
    pub dead_letter_topic: String,
    pub bulk_subscribe: BulkSubscribe,
}

/// Where messages of a topic go.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Routes {
    /// The first rule that matches wins.
    pub rules: Vec<Rule>,
    /// The path when no rule matches; empty for none.
    pub default: String,
}

/// A CEL condition over the event and the path for events that meet it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Rule {
    #[serde(rename = "match")]
    pub condition: String,
    pub path: String,
}

/// Several messages in one delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BulkSubscribe {
    pub enabled: bool,
    /// 0 for the default of the block.
    pub max_messages_count: i32,
    /// Milliseconds; 0 for the default of the block.
    pub max_await_duration_ms: i32,
}

impl Resource for Subscription {
    const API_VERSION: &'static str = "dapr.io/v2alpha1";
    const KIND: &'static str = "Subscription";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn log_name(&self) -> String {
        self.metadata.name.clone()
    }
}

/// The form of `dapr.io/v1alpha1`: one route for everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SubscriptionV1 {
    pub metadata: Metadata,
    pub spec: SubscriptionSpecV1,
    pub scopes: Vec<String>,
}

/// `spec` of the older form.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubscriptionSpecV1 {
    #[serde(rename = "pubsubname")]
    pub pubsub_name: String,
    pub topic: String,
    pub metadata: BTreeMap<String, String>,
    pub route: String,
    pub dead_letter_topic: String,
    pub bulk_subscribe: BulkSubscribe,
}

impl Resource for SubscriptionV1 {
    const API_VERSION: &'static str = "dapr.io/v1alpha1";
    const KIND: &'static str = "Subscription";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn scopes(&self) -> &[String] {
        &self.scopes
    }

    fn log_name(&self) -> String {
        self.metadata.name.clone()
    }
}

impl From<SubscriptionV1> for Subscription {
    fn from(old: SubscriptionV1) -> Self {
        let spec = old.spec;
        Self {
            metadata: old.metadata,
            spec: SubscriptionSpec {
                pubsub_name: spec.pubsub_name,
                topic: spec.topic,
                metadata: spec.metadata,
                routes: Routes { rules: Vec::new(), default: spec.route },
                dead_letter_topic: spec.dead_letter_topic,
                bulk_subscribe: spec.bulk_subscribe,
            },
            scopes: old.scopes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::decode::decode;

    #[test]
    fn the_older_form_becomes_a_default_route() {
        let old: SubscriptionV1 = decode(json!({
            "metadata": {"name": "orders"},
            "spec": {"pubsubname": "bus", "topic": "orders", "route": "/orders", "deadLetterTopic": "dead",
                     "bulkSubscribe": {"enabled": true, "maxMessagesCount": 10}},
            "scopes": ["shop"],
        }))
        .unwrap();
        let subscription = Subscription::from(old);
        assert_eq!(subscription.spec.routes, Routes { rules: vec![], default: "/orders".into() });
        assert_eq!(subscription.spec.bulk_subscribe.max_messages_count, 10);
        assert_eq!(subscription.scopes, ["shop"]);
    }

    #[test]
    fn rules_keep_their_order() {
        let subscription: Subscription = decode(json!({
            "spec": {"pubsubName": "bus", "topic": "t", "routes": {
                "rules": [{"match": "event.type == 'a'", "path": "/a"}, {"match": "true", "path": "/b"}], "default": "/c"}},
        }))
        .unwrap();
        assert_eq!(subscription.spec.pubsub_name, "bus");
        assert_eq!(subscription.spec.routes.rules[0].path, "/a");
        assert_eq!(subscription.spec.routes.rules[1].condition, "true");
    }
}
