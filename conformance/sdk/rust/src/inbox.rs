//! The events that the application was given, by topic.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dapr::appcallback::TopicEventRequest;

use crate::facts::{Wrong, wait_for};

#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<HashMap<String, Vec<TopicEventRequest>>>>);

impl Inbox {
    /// Keeps an event and says how many came under this name, with it.
    pub fn put(&self, name: &str, event: TopicEventRequest) -> usize {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let events = events.entry(name.to_owned()).or_default();
        events.push(event);
        events.len()
    }

    /// The first `count` events under `name`, once that many have come.
    pub async fn get(&self, name: &str, count: usize) -> Result<Vec<TopicEventRequest>, Wrong> {
        wait_for(&format!("{count} events of {name}"), async || {
            let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Ok::<_, Wrong>(
                events.get(name).filter(|events| events.len() >= count).map(|events| events[..count].to_vec()),
            )
        })
        .await
    }
}
