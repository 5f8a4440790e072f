//! Subscriptions that the application asks for: `GET /dapr/subscribe`, or `ListTopicSubscriptions` (as daprd 1.18).

use std::collections::BTreeMap;

use bytes::Bytes;
use components::Metadata;
use proto_dapr::runtime::{ListTopicSubscriptionsResponse, TopicRoutes};
use serde::Deserialize;

use super::route::Rule;
use super::subscription::{Bulk, Subscription};
use crate::config::decode::decode;
use crate::loaded::SubscriptionSource;

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Item {
    #[serde(rename = "pubsubname")]
    pubsub_name: String,
    topic: String,
    dead_letter_topic: String,
    metadata: Metadata,
    route: String,
    routes: Routes,
    bulk_subscribe: BulkItem,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Routes {
    rules: Vec<RuleItem>,
    default: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RuleItem {
    #[serde(rename = "match")]
    condition: String,
    path: String,
}

/// Says which topics the application asked for, a line for each broker.
pub fn log_topics(subscriptions: &[Subscription]) {
    let mut topics: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for subscription in subscriptions {
        topics.entry(&subscription.pubsub).or_default().push(&subscription.topic);
    }
    for (pubsub, topics) in topics {
        let topics = topics.join(" ");
        tracing::info!(target: super::SCOPE, "app is subscribed to the following topics: [[{topics}]] through pubsub={pubsub}");
    }
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct BulkItem {
    enabled: bool,
    max_messages_count: i32,
    max_await_duration_ms: i32,
}

/// Reads the answer to `GET /dapr/subscribe`. An empty body is no subscription; one without any route is left out
/// with a warning.
///
/// # Errors
/// Anything that is no array of subscriptions: then no subscription starts at all, as in daprd.
pub fn from_http(body: &Bytes) -> Result<Vec<Subscription>, String> {
    let failed = |error: String| format!("error getting topics from app: {error}");
    let json = match crate::json::parse_first(body) {
        Ok(json) => json,
        Err(crate::json::SyntaxError::Eof) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error.to_string())),
    };
    if !matches!(json, crate::json::Json::Array(_) | crate::json::Json::Null) {
        let error = crate::json::TypeError::value(&json, "[]pubsub.SubscriptionJSON");
        return Err(failed(error.to_string()));
    }
    let items: Vec<Item> = decode(serde_json::Value::from(&json)).map_err(|error| failed(error.to_string()))?;
    let mut subscriptions = Vec::new();
    for item in items {
        let mut rules = Vec::new();
        for rule in item.routes.rules {
            rules.push(Rule::new(&rule.condition, &rule.path)?);
        }
        if !item.routes.default.is_empty() {
            rules.push(Rule::new("", &item.routes.default)?);
        } else if !item.route.is_empty() {
            rules.push(Rule::new("", &item.route)?);
        }
        if rules.is_empty() {
            tracing::warn!(target: super::SCOPE, "topic {} has an empty routes. removing from subscriptions list", item.topic);
            continue;
        }
        let bulk = &item.bulk_subscribe;
        subscriptions.push(Subscription {
            pubsub: item.pubsub_name,
            topic: item.topic,
            metadata: item.metadata,
            rules,
            dead_letter_topic: item.dead_letter_topic,
            bulk: bulk.enabled.then(|| Bulk::new(bulk.max_messages_count, bulk.max_await_duration_ms)),
            source: SubscriptionSource::Programmatic,
        });
    }
    Ok(subscriptions)
}

/// Reads the reply of `ListTopicSubscriptions`. A subscription without routes goes to the empty path.
pub fn from_grpc(reply: ListTopicSubscriptionsResponse) -> Result<Vec<Subscription>, String> {
    reply
        .subscriptions
        .into_iter()
        .map(|item| {
            Ok(Subscription {
                pubsub: item.pubsub_name,
                topic: item.topic,
                metadata: item.metadata.into_iter().collect(),
                rules: rules(item.routes)?,
                dead_letter_topic: item.dead_letter_topic,
                bulk: item
                    .bulk_subscribe
                    .filter(|bulk| bulk.enabled)
                    .map(|bulk| Bulk::new(bulk.max_messages_count, bulk.max_await_duration_ms)),
                source: SubscriptionSource::Programmatic,
            })
        })
        .collect()
}

fn rules(routes: Option<TopicRoutes>) -> Result<Vec<Rule>, String> {
    let routes = routes.unwrap_or_default();
    let mut rules =
        routes.rules.iter().map(|rule| Rule::new(&rule.r#match, &rule.path)).collect::<Result<Vec<_>, _>>()?;
    if !routes.default.is_empty() || rules.is_empty() {
        rules.push(Rule::new("", &routes.default)?);
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_route_forms_are_read() {
        let body = r#"[{"pubsubname":"bus","topic":"a","route":"/a"},
            {"pubsubname":"bus","topic":"b","routes":{"rules":[{"match":"event.type == 'x'","path":"/x"}],"default":"/d"},"deadLetterTopic":"dl"},
            {"pubsubname":"bus","topic":"c"}]"#;
        let subscriptions = from_http(&Bytes::from(body)).unwrap();
        assert_eq!(subscriptions.len(), 2);
        assert_eq!(subscriptions[1].rules.len(), 2);
        assert_eq!(subscriptions[1].dead_letter_topic, "dl");
    }

    #[test]
    fn anything_but_a_list_is_an_error_and_nothing_is_none() {
        assert!(from_http(&Bytes::from("{}")).is_err());
        assert!(from_http(&Bytes::from("[{")).is_err());
        assert!(from_http(&Bytes::new()).unwrap().is_empty());
    }

    #[test]
    fn grpc_subscriptions_without_routes_go_to_the_empty_path() {
        let item = proto_dapr::runtime::TopicSubscription { topic: "t".into(), ..Default::default() };
        let reply = ListTopicSubscriptionsResponse { subscriptions: vec![item] };
        assert_eq!(from_grpc(reply).unwrap()[0].rules[0].path, "");
    }
}
