//! Batches for brokers that deliver one by one: collected up to a count or a time, delivered by path (as daprd 1.18).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use components::Metadata;
use components::pubsub::{Handler, Message, Outcome};
use tokio::sync::{mpsc, oneshot};

use super::dead_letter::Original;
use super::deliver::{BulkEvent, BulkItem, BulkVerdict, Rejected, Verdict};
use super::handler::Pipeline;
use super::subscription::Bulk;
use super::{SCOPE, receive, route};
use crate::blocks::pubsub::envelope::has_expired;
use crate::blocks::pubsub::is_raw_payload;
use crate::resiliency::ComponentType;

/// Handles the messages of one subscription in batches. The collecting task ends with it.
pub struct Batched {
    queue: mpsc::Sender<Waiting>,
    pipeline: Pipeline,
}

struct Waiting {
    message: Message,
    settled: oneshot::Sender<Outcome>,
}

impl Batched {
    pub fn new(pipeline: Pipeline, bulk: Bulk) -> Self {
        let (queue, receiver) = mpsc::channel(bulk.max_messages);
        let is_immediate = pipeline.broker.broker.features().bulk_subscribe_immediate;
        tokio::spawn(collect(receiver, pipeline.clone(), bulk, is_immediate));
        Self { queue, pipeline }
    }
}

#[async_trait]
impl Handler for Batched {
    async fn handle(&self, message: Message) -> Outcome {
        if self.pipeline.is_closing() {
            return Outcome::Abandoned;
        }
        let (settled, outcome) = oneshot::channel();
        if self.queue.send(Waiting { message, settled }).await.is_err() {
            return Outcome::Abandoned;
        }
        outcome.await.unwrap_or(Outcome::Abandoned)
    }
}

/// Collects a batch, delivers it, and begins again. The time runs from a batch's first message.
async fn collect(mut receiver: mpsc::Receiver<Waiting>, pipeline: Pipeline, bulk: Bulk, is_immediate: bool) {
    while let Some(first) = receiver.recv().await {
        let mut batch = vec![first];
        let deadline = tokio::time::Instant::now() + bulk.max_await;
        while batch.len() < bulk.max_messages {
            let next = if is_immediate {
                receiver.try_recv().ok()
            } else {
                tokio::time::timeout_at(deadline, receiver.recv()).await.ok().flatten()
            };
            match next {
                Some(waiting) => batch.push(waiting),
                None => break,
            }
        }
        deliver(&pipeline, batch).await;
    }
}

/// A message of a batch that is to be delivered.
struct Entry {
    item: Arc<BulkItem>,
    original: Original,
    settled: oneshot::Sender<Outcome>,
}

async fn deliver(pipeline: &Pipeline, batch: Vec<Waiting>) {
    let subscription = &pipeline.subscription;
    let started = Instant::now();
    let is_raw = match is_raw_payload(&subscription.metadata) {
        Ok(is_raw) => is_raw,
        Err(error) => {
            tracing::error!(target: SCOPE, "error deserializing pubsub metadata: {error}");
            for waiting in batch {
                settle(waiting.settled, pipeline.failed(error.clone()));
            }
            return;
        }
    };
    let mut topic = subscription.topic.clone();
    let mut by_path: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for waiting in batch {
        topic = pipeline.topic(&waiting.message.topic);
        if let Some((path, entry)) = prepare(pipeline, waiting, is_raw).await {
            by_path.entry(path).or_default().push(entry);
        }
    }
    for (path, entries) in by_path {
        deliver_path(pipeline, &topic, path, entries).await;
    }
    pipeline.shared.metrics.bulk_ingress(&subscription.pubsub, &topic, started.elapsed());
}

fn settle(settled: oneshot::Sender<Outcome>, outcome: Outcome) {
    // The broker's side is gone only when it closes; it will offer the message again.
    let _ = settled.send(outcome);
}

/// Reads and routes one message; what is not for the application is settled here.
async fn prepare(pipeline: &Pipeline, waiting: Waiting, is_raw: bool) -> Option<(String, Entry)> {
    let Waiting { message, settled } = waiting;
    let subscription = &pipeline.subscription;
    let Message { data, metadata, content_type, .. } = message;
    let original = Original { data: data.clone(), metadata: metadata.clone(), content_type: content_type.clone() };
    let event = if is_raw {
        None
    } else {
        match receive::read_event(&data) {
            Ok(event) => Some(event),
            Err(error) => {
                tracing::error!(
                    target: SCOPE,
                    "error deserializing one of the messages in bulk cloud event in pubsub {} and topic {}: {error}",
                    subscription.pubsub, subscription.topic
                );
                let outcome = if pipeline.dead_letter(&original).await { Outcome::Ack } else { pipeline.failed(error) };
                settle(settled, outcome);
                return None;
            }
        }
    };
    if event.as_ref().is_some_and(has_expired) {
        pipeline.dead_letter(&original).await;
        settle(settled, Outcome::Ack);
        return None;
    }
    let text = String::from_utf8_lossy(&data);
    let subject = match &event {
        Some(event) => route::Subject::Event(event),
        None => route::Subject::Raw(&text),
    };
    let path = match route::find(&subscription.rules, &subject) {
        Ok(Some(path)) => path.to_owned(),
        Ok(None) => {
            tracing::warn!(
                target: SCOPE,
                "No matching route for event in pubsub {} and topic {}; skipping", subscription.pubsub, subscription.topic
            );
            pipeline.dead_letter(&original).await;
            settle(settled, Outcome::Ack);
            return None;
        }
        Err(error) => {
            let outcome = if pipeline.dead_letter(&original).await { Outcome::Ack } else { pipeline.failed(error) };
            settle(settled, outcome);
            return None;
        }
    };
    let fallback = if is_raw { "application/octet-stream" } else { "application/cloudevents+json" };
    let content_type = content_type.filter(|kind| !kind.is_empty()).unwrap_or_else(|| fallback.to_owned());
    let item = BulkItem { entry_id: uuid::Uuid::new_v4().to_string(), event, data, content_type, metadata };
    Some((path, Entry { item: Arc::new(item), original, settled }))
}

/// Delivers the messages of one path; a retry sends those again that failed.
async fn deliver_path(pipeline: &Pipeline, topic: &str, path: String, entries: Vec<Entry>) {
    let subscription = &pipeline.subscription;
    let name = &subscription.pubsub;
    let pending: Mutex<Vec<Arc<BulkItem>>> = Mutex::new(entries.iter().map(|entry| entry.item.clone()).collect());
    let settled: Mutex<HashMap<String, Result<Verdict, Rejected>>> = Mutex::new(HashMap::new());
    let policy = pipeline.shared.policies.load().component_inbound(name, ComponentType::Pubsub);
    let outcome = policy
        .run(|| async {
            let items = locked(&pending).clone();
            let event = BulkEvent {
                pubsub: name.clone(),
                topic: topic.to_owned(),
                path: path.clone(),
                metadata: Metadata::from([("pubsubName".to_owned(), name.clone())]),
                items,
            };
            let verdicts = pipeline.deliver.deliver_bulk(&event).await?;
            record(pipeline, topic, &event, verdicts, &pending, &settled)
        })
        .await;
    let whole = outcome.err();
    let mut settled = settled.into_inner().unwrap_or_else(PoisonError::into_inner);
    for entry in entries {
        let verdict = settled.remove(&entry.item.entry_id);
        let outcome = match verdict {
            Some(Ok(Verdict::Dropped)) => {
                pipeline.dead_letter(&entry.original).await;
                Outcome::Ack
            }
            Some(Ok(_)) => Outcome::Ack,
            Some(Err(Rejected { closing: true, .. })) => Outcome::Abandoned,
            _ if pipeline.is_closing() => Outcome::Abandoned,
            rejected => {
                let error = match (rejected, &whole) {
                    (Some(Err(rejected)), _) => rejected.message,
                    (_, Some(error)) => error.to_string(),
                    _ => "response not received".to_owned(),
                };
                if pipeline.dead_letter(&entry.original).await { Outcome::Ack } else { pipeline.failed(error) }
            }
        };
        settle(entry.settled, outcome);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the verdicts of one attempt; what failed stays pending.
fn record(
    pipeline: &Pipeline,
    topic: &str,
    event: &BulkEvent,
    verdicts: Vec<BulkVerdict>,
    pending: &Mutex<Vec<Arc<BulkItem>>>,
    settled: &Mutex<HashMap<String, Result<Verdict, Rejected>>>,
) -> Result<(), Rejected> {
    let mut given: HashMap<String, Result<Verdict, Rejected>> =
        verdicts.into_iter().map(|verdict| (verdict.entry_id, verdict.outcome)).collect();
    let (mut done, mut retried, mut dropped) = (0, 0, 0);
    let mut failed = Vec::new();
    for item in &event.items {
        let verdict = given.remove(&item.entry_id).unwrap_or_else(|| {
            Err(Rejected::new(format!(
                "response not received, RETRY required while processing bulk subscribe event for entry id: {}",
                item.entry_id
            )))
        });
        match &verdict {
            Ok(Verdict::Done) => done += 1,
            Ok(Verdict::Dropped | Verdict::Ignored) => dropped += 1,
            Err(_) => {
                retried += 1;
                failed.push(item.clone());
            }
        }
        locked(settled).insert(item.entry_id.clone(), verdict);
    }
    for entry_id in given.into_keys() {
        tracing::warn!(target: SCOPE, "Invalid entry id received from app while processing pub/sub event {entry_id}");
    }
    for (status, messages) in [("SUCCESS", done), ("RETRY", retried), ("DROP", dropped)] {
        pipeline.shared.metrics.bulk_ingress_entries(&event.pubsub, topic, status, messages);
    }
    let is_done = failed.is_empty();
    *locked(pending) = failed;
    if is_done { Ok(()) } else { Err(Rejected::new("few message(s) have failed during bulk subscribe operation")) }
}
