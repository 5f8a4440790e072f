//! `pubsub.in-memory`: a broker inside the process. Every subscription gets every message of its topic, one at a time.
//!
//! Unlike daprd's, a message that the application asked to see again is offered again ([`Redelivery`]), and a handler
//! may publish to its own topic: publishing never waits for a subscriber unless [`QUEUE`] messages are ahead of it.

mod queue;

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::redelivery::Redelivery;
use super::{Features, Handler, Message, PubSub, PublishRequest, SubscribeRequest, Subscription};
use crate::component::{Built, InitContext, Spec};
use crate::task::Task;
use crate::{Error, Result};

/// It has no options.
pub const PROPERTIES: &[&str] = &[];

/// Messages that may wait for one subscription before publishers wait too.
const QUEUE: usize = 16 * 1024;

/// Builds the broker; nothing can fail.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    Ok(Built::PubSub(Arc::new(InMemory::new(spec.name))))
}

/// The broker.
pub struct InMemory {
    name: Arc<str>,
    topics: Arc<RwLock<Topics>>,
}

#[derive(Default)]
struct Topics {
    closed: bool,
    next_id: u64,
    subscribers: Vec<Subscriber>,
}

/// A subscription as publishers see it.
struct Subscriber {
    id: u64,
    topic: String,
    queue: mpsc::Sender<Message>,
}

impl Subscriber {
    /// A topic that ends in `*` takes every longer topic with the text before it.
    fn wants(&self, topic: &str) -> bool {
        self.topic == topic
            || self
                .topic
                .strip_suffix('*')
                .and_then(|prefix| topic.strip_prefix(prefix))
                .is_some_and(|rest| !rest.is_empty())
    }
}

impl InMemory {
    /// A broker without topics; `name` is for its log lines.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), topics: Arc::default() }
    }
}

#[async_trait]
impl PubSub for InMemory {
    fn features(&self) -> Features {
        Features { wildcards: true, ..Features::default() }
    }

    async fn publish(&self, request: PublishRequest) -> Result<()> {
        let deliveries: Vec<(mpsc::Sender<Message>, Message)> = {
            let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
            if topics.closed {
                return Err(Error::other("component is closed"));
            }
            let wanting = topics.subscribers.iter().filter(|subscriber| subscriber.wants(&request.topic));
            wanting
                .map(|subscriber| {
                    let message = Message {
                        // The subscription's topic, also where it is a pattern: as in daprd.
                        topic: subscriber.topic.clone(),
                        data: request.data.clone(),
                        metadata: request.metadata.clone(),
                        content_type: None,
                    };
                    (subscriber.queue.clone(), message)
                })
                .collect()
        };
        for (queue, message) in deliveries {
            // A subscription that was closed meanwhile misses the message, as if it had closed a moment earlier.
            let _ = queue.send(message).await;
        }
        Ok(())
    }

    async fn subscribe(&self, request: SubscribeRequest, handler: Arc<dyn Handler>) -> Result<Box<dyn Subscription>> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        if topics.closed {
            return Err(Error::other("component is closed"));
        }
        let id = topics.next_id;
        topics.next_id += 1;
        topics.subscribers.push(Subscriber { id, topic: request.topic, queue: sender });
        let name = self.name.clone();
        let task = Task::spawn(|token| queue::run(name, receiver, handler, Redelivery::default(), token));
        Ok(Box::new(Running { id, topics: self.topics.clone(), task }))
    }

    async fn close(&self) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.closed = true;
        topics.subscribers.clear();
    }
}

struct Running {
    id: u64,
    topics: Arc<RwLock<Topics>>,
    task: Task,
}

impl Running {
    fn leave(&self) {
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        topics.subscribers.retain(|subscriber| subscriber.id != self.id);
    }
}

#[async_trait]
impl Subscription for Running {
    async fn close(&self) {
        self.leave();
        self.task.stop().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_takes_only_longer_topics() {
        let wants = |pattern: &str, topic: &str| {
            Subscriber { id: 0, topic: pattern.to_owned(), queue: mpsc::channel(1).0 }.wants(topic)
        };
        assert!(wants("a", "a"));
        assert!(!wants("a", "ab"));
        assert!(wants("topic*", "topic1"));
        assert!(!wants("topic*", "topic"));
        assert!(wants("topic*", "topic*"));
        assert!(wants("*", "x"));
    }
}
