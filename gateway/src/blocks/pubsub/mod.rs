//! Publishing: from a call to the broker (as daprd 1.18, pub/sub API). What arrives is [`crate::inbound`]'s.

use std::collections::HashSet;
use std::time::Instant;

use bytes::Bytes;
use components::pubsub::{BulkEntry, BulkFailure, BulkPublishRequest, PublishRequest};
use components::{Error, Metadata};

use super::{Attempt, Shared};
use crate::error::{ApiError, nested, table};
use crate::json::Json;
use crate::loaded::{Lease, LoadedPubSub};
use crate::operation::{CallContext, Front, Handle, Operation};
use crate::resiliency::ComponentType;
use crate::telemetry::metrics::Publication;

pub mod content_type;
pub mod envelope;
mod refused;

use refused::Refused;

pub struct PublishEvent {
    pub pubsub: String,
    pub topic: String,
    pub data: Bytes,
    /// Empty when the caller gave none.
    pub content_type: String,
    pub metadata: Metadata,
}

impl Operation for PublishEvent {
    type Reply = ();
    type Block = PubSubBlock;
    const NAME: &'static str = "PublishEvent";
}

pub struct BulkPublishEntry {
    pub entry_id: String,
    pub event: Bytes,
    pub content_type: String,
    /// `None` when the entry has no metadata of its own: then the request's does not reach it either (as daprd).
    pub metadata: Option<Metadata>,
}

pub struct BulkPublishEvent {
    pub pubsub: String,
    pub topic: String,
    pub entries: Vec<BulkPublishEntry>,
    pub metadata: Metadata,
}

/// What became of a bulk publication that reached the broker.
pub struct BulkOutcome {
    /// The entries that the broker did not take.
    pub failed: Vec<BulkFailure>,
    /// Set when any failed: the error of the whole.
    pub error: Option<ApiError>,
}

impl Operation for BulkPublishEvent {
    type Reply = BulkOutcome;
    type Block = PubSubBlock;
    const NAME: &'static str = "BulkPublishEvent";
}

#[derive(Clone)]
pub struct PubSubBlock {
    shared: Shared,
}

/// A publication that has passed the checks of its request.
pub struct Checked {
    pub broker: Lease<LoadedPubSub>,
    /// The payload is the message: no envelope.
    pub is_raw: bool,
}

impl PubSubBlock {
    pub fn new(shared: Shared) -> Self {
        Self { shared }
    }

    /// The checks that come before a body is read. Errors show the request's metadata as daprd shows it: over HTTP
    /// always, over gRPC not for an unknown broker.
    pub fn check(&self, front: Front, pubsub: &str, topic: &str, metadata: &Metadata) -> Result<Checked, ApiError> {
        let shown = || metadata.clone();
        if pubsub.is_empty() {
            return Err(table::pubsub::name_empty(shown()));
        }
        let broker = self.shared.loaded.current().pubsub.get(pubsub).cloned();
        let Some(broker) = broker else {
            let metadata = if front == Front::Http { shown() } else { Metadata::new() };
            return Err(table::pubsub::not_found(pubsub, metadata));
        };
        if topic.is_empty() {
            return Err(table::pubsub::topic_empty(pubsub, shown()));
        }
        let is_raw = is_raw_payload(metadata).map_err(|error| table::pubsub::metadata(pubsub, shown(), &error))?;
        Ok(Checked { broker, is_raw })
    }

    fn event(&self, context: &CallContext, broker: &LoadedPubSub, source: EventSource<'_>) -> Result<Bytes, ApiError> {
        let traceparent = context.traceparent();
        let tracestate = context.tracestate();
        let mut event = envelope::envelope(&envelope::Source {
            app_id: &self.shared.app_id,
            pubsub: source.pubsub,
            topic: source.topic,
            content_type: source.content_type,
            data: source.data,
            traceparent: &traceparent,
            tracestate: &tracestate,
            metadata: source.metadata,
        })
        .map_err(|error| table::pubsub::cloud_event(source.pubsub, &self.shared.app_id, &error))?;
        envelope::expire(&mut event, broker.broker.features().message_ttl, source.metadata);
        Ok(Json::Object(event).to_exact_text().into())
    }

    /// Publishes one message as it is; scopes and policies of the broker apply. Also the way of dead letters, which
    /// the metrics of publications do not count (as daprd 1.18).
    pub async fn publish(
        &self,
        front: Front,
        pubsub: &str,
        broker: &LoadedPubSub,
        mut request: PublishRequest,
    ) -> Result<(), ApiError> {
        let topic = request.topic.clone();
        if broker.scopes.may_publish(&topic) {
            request.topic = wire_topic(broker, &topic);
            Attempt::outbound(&self.shared, ComponentType::Pubsub, pubsub, "publish")
                .run_as(
                    || {
                        let publication = broker.broker.publish(request.clone());
                        async move { publication.await.map_err(|error| Refused::new(error, front)) }
                    },
                    |text| Refused::new(Error::other(text), front),
                )
                .await
                .map_err(|refused| table::pubsub::publish(pubsub, &topic, &nested(&refused.error)))
        } else {
            Err(table::pubsub::forbidden(pubsub, &topic, &self.shared.app_id))
        }
    }

    /// Publishes several; the failed ones come back. Only failed entries are tried again.
    pub async fn bulk_publish(
        &self,
        front: Front,
        pubsub: &str,
        broker: &LoadedPubSub,
        topic: &str,
        entries: Vec<BulkEntry>,
        metadata: &Metadata,
    ) -> Result<BulkOutcome, ApiError> {
        if !broker.scopes.may_publish(topic) {
            return Err(table::pubsub::forbidden(pubsub, topic, &self.shared.app_id));
        }
        let started = Instant::now();
        let wire = wire_topic(broker, topic);
        let pending = std::sync::Mutex::new(entries);
        let failed = std::sync::Mutex::new(Vec::new());
        let outcome = Attempt::outbound(&self.shared, ComponentType::Pubsub, pubsub, "bulk_publish")
            .run_as(
                || async {
                    let entries = lock(&pending).clone();
                    let failures = publish_all(broker, &wire, entries, metadata).await;
                    let failures = failures.map_err(|error| Refused::new(error, front))?;
                    lock(&pending).retain(|entry| failures.iter().any(|failure| failure.entry_id == entry.entry_id));
                    let error = failures.iter().map(|failure| nested(&failure.error)).collect::<Vec<_>>().join("\n");
                    let refused = Refused::of_entries(error, failures.iter().map(|failure| &failure.error), front);
                    let is_empty = failures.is_empty();
                    *lock(&failed) = failures;
                    if is_empty { Ok(()) } else { Err(refused) }
                },
                |text| Refused::new(Error::other(text), front),
            )
            .await;
        let error = outcome.err().map(|refused| table::pubsub::publish(pubsub, topic, &nested(&refused.error)));
        let publication =
            Publication { component: pubsub, topic, success: error.is_none(), elapsed: started.elapsed() };
        self.shared.metrics.bulk_egress(&publication);
        let mut failed = failed.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(error) = &error
            && failed.is_empty()
        {
            let whole = Error::other(error.to_string());
            let entries = lock(&pending);
            failed = entries
                .iter()
                .map(|entry| BulkFailure { entry_id: entry.entry_id.clone(), error: whole.clone() })
                .collect();
        }
        Ok(BulkOutcome { failed, error })
    }
}

struct EventSource<'a> {
    pubsub: &'a str,
    topic: &'a str,
    content_type: &'a str,
    data: &'a [u8],
    metadata: &'a Metadata,
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The topic as the broker knows it.
pub fn wire_topic(broker: &LoadedPubSub, topic: &str) -> String {
    match &broker.namespace_prefix {
        Some(prefix) => format!("{prefix}{topic}"),
        None => topic.to_owned(),
    }
}

async fn publish_all(
    broker: &LoadedPubSub,
    topic: &str,
    entries: Vec<BulkEntry>,
    metadata: &Metadata,
) -> Result<Vec<BulkFailure>, Error> {
    if broker.broker.features().bulk_publish {
        let request = BulkPublishRequest { topic: topic.to_owned(), entries, metadata: metadata.clone() };
        return broker.broker.bulk_publish(request).await;
    }
    let publications = entries.into_iter().map(|entry| async move {
        let request = PublishRequest {
            topic: topic.to_owned(),
            data: entry.event,
            metadata: entry.metadata,
            content_type: Some(entry.content_type),
        };
        broker.broker.publish(request).await.map_err(|error| BulkFailure { entry_id: entry.entry_id, error })
    });
    Ok(futures::future::join_all(publications).await.into_iter().filter_map(Result::err).collect())
}

/// `rawPayload` in any case: Go's strict booleans.
pub fn is_raw_payload(metadata: &Metadata) -> Result<bool, String> {
    let Some((_, value)) = metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case("rawPayload")) else {
        return Ok(false);
    };
    match value.as_str() {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        other => Err(format!("rawPayload value must be a valid boolean: actual is '{other}'")),
    }
}

impl Handle<PublishEvent> for PubSubBlock {
    async fn handle(&self, context: &CallContext, operation: PublishEvent) -> Result<(), ApiError> {
        let PublishEvent { pubsub, topic, data, content_type, mut metadata } = operation;
        let Checked { broker, is_raw } = self.check(context.front, &pubsub, &topic, &metadata)?;
        let data = if is_raw {
            if context.front == Front::Grpc {
                metadata.insert("traceid".into(), context.traceparent());
                metadata.insert("tracestate".into(), context.tracestate());
            }
            data
        } else {
            let source = EventSource {
                pubsub: &pubsub,
                topic: &topic,
                content_type: &content_type,
                data: &data,
                metadata: &metadata,
            };
            self.event(context, &broker, source)?
        };
        let request = PublishRequest { topic: topic.clone(), data, metadata, content_type: None };
        let started = Instant::now();
        let outcome = self.publish(context.front, &pubsub, &broker, request).await;
        let publication =
            Publication { component: &pubsub, topic: &topic, success: outcome.is_ok(), elapsed: started.elapsed() };
        self.shared.metrics.pubsub_egress(&publication);
        outcome
    }
}

impl Handle<BulkPublishEvent> for PubSubBlock {
    async fn handle(&self, context: &CallContext, operation: BulkPublishEvent) -> Result<BulkOutcome, ApiError> {
        let BulkPublishEvent { pubsub, topic, entries, metadata } = operation;
        let Checked { broker, is_raw } = self.check(context.front, &pubsub, &topic, &metadata)?;
        let mut seen = HashSet::new();
        let mut ready = Vec::with_capacity(entries.len());
        for entry in entries {
            if entry.entry_id.is_empty() || !seen.insert(entry.entry_id.clone()) {
                let text = "entryId is duplicated or not present for entry";
                return Err(table::pubsub::marshal_events(&pubsub, &topic, &self.shared.app_id, text));
            }
            let own = entry.metadata.map(|own| {
                let mut merged = metadata.clone();
                merged.extend(own);
                merged
            });
            let own = own.unwrap_or_default();
            let event = if is_raw {
                entry.event
            } else {
                let source = EventSource {
                    pubsub: &pubsub,
                    topic: &topic,
                    content_type: &entry.content_type,
                    data: &entry.event,
                    metadata: &own,
                };
                self.event(context, &broker, source)?
            };
            ready.push(BulkEntry { entry_id: entry.entry_id, event, content_type: entry.content_type, metadata: own });
        }
        self.bulk_publish(context.front, &pubsub, &broker, &topic, ready, &metadata).await
    }
}
