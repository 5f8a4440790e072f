//! A subscription: what is listened to, and where it goes.

use std::time::Duration;

use components::Metadata;

use super::route::Rule;
use crate::loaded::{SubscriptionInfo, SubscriptionSource};

/// Messages are handed over in batches.
#[derive(Debug, Clone, Copy)]
pub struct Bulk {
    pub max_messages: usize,
    pub max_await: Duration,
}

impl Bulk {
    /// From the resource's numbers; 0 and below mean daprd's defaults of 100 messages and one second.
    pub fn new(max_messages: i32, max_await_ms: i32) -> Self {
        let positive =
            |number: i32, fallback: u32| u32::try_from(number).ok().filter(|number| *number > 0).unwrap_or(fallback);
        Self {
            max_messages: positive(max_messages, 100) as usize,
            max_await: Duration::from_millis(positive(max_await_ms, 1000).into()),
        }
    }
}

pub struct Subscription {
    pub pubsub: String,
    pub topic: String,
    pub metadata: Metadata,
    pub rules: Vec<Rule>,
    /// Empty for none.
    pub dead_letter_topic: String,
    pub bulk: Option<Bulk>,
    pub source: SubscriptionSource,
}

impl Subscription {
    /// What the metadata API says.
    pub fn info(&self) -> SubscriptionInfo {
        SubscriptionInfo {
            pubsub: self.pubsub.clone(),
            topic: self.topic.clone(),
            metadata: self.metadata.clone(),
            rules: self.rules.iter().map(|rule| (rule.condition.clone(), rule.path.clone())).collect(),
            dead_letter_topic: self.dead_letter_topic.clone(),
            source: self.source,
        }
    }

    pub fn has_dead_letters(&self) -> bool {
        !self.dead_letter_topic.is_empty()
    }
}

impl TryFrom<&crate::config::Subscription> for Subscription {
    type Error = String;

    /// # Errors
    /// A rule that does not parse; daprd ends its start on it.
    fn try_from(resource: &crate::config::Subscription) -> Result<Self, String> {
        let spec = &resource.spec;
        let mut rules = Vec::new();
        for rule in &spec.routes.rules {
            rules.push(Rule::new(&rule.condition, &rule.path)?);
        }
        if !spec.routes.default.is_empty() {
            rules.push(Rule::new("", &spec.routes.default)?);
        }
        let bulk = &spec.bulk_subscribe;
        Ok(Self {
            pubsub: spec.pubsub_name.clone(),
            topic: spec.topic.clone(),
            metadata: spec.metadata.clone(),
            rules,
            dead_letter_topic: spec.dead_letter_topic.clone(),
            bulk: bulk.enabled.then(|| Bulk::new(bulk.max_messages_count, bulk.max_await_duration_ms)),
            source: SubscriptionSource::Declarative,
        })
    }
}
