//! Subscriptions over a stream that the application opened (`SubscribeTopicEventsAlpha1`, as daprd 1.18).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use proto_dapr::runtime::TopicEventRequest;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::app::{grpc_verdict, topic_event};
use super::deliver::{BulkEvent, BulkVerdict, Deliver, Rejected, TopicEvent, Verdict};
use super::subscription::Subscription;
use super::{Inbound, subscribe};
use crate::blocks::Shared;
use crate::telemetry::metrics::Delivery;

/// An open stream's subscription. [`StreamSubscription::close`] ends it.
pub struct StreamSubscription {
    inbound: Inbound,
    subscription: Arc<Subscription>,
    running: Box<dyn components::pubsub::Subscription>,
    to_stream: Arc<ToStream>,
    closing: Arc<AtomicBool>,
}

impl Inbound {
    /// Subscribes for a stream: events go into `events`, verdicts come by [`StreamSubscription::processed`].
    ///
    /// # Errors
    /// daprd's text for a topic that may not be subscribed to, or a broker that refuses.
    pub async fn open_stream(
        &self,
        subscription: Subscription,
        events: mpsc::Sender<TopicEventRequest>,
    ) -> Result<StreamSubscription, String> {
        let subscription = Arc::new(subscription);
        let closing = Arc::new(AtomicBool::new(false));
        let to_stream = Arc::new(ToStream {
            shared: self.inner.shared.clone(),
            events,
            waiting: Mutex::default(),
            ended: CancellationToken::new(),
        });
        let Some(pipeline) = self.pipeline(subscription.clone(), to_stream.clone(), closing.clone()) else {
            return Err(format!("pubsub {} is not found", subscription.pubsub));
        };
        let running = subscribe(&pipeline)
            .await
            .map_err(|error| format!("failed to create subscription for {}: {error}", subscription.pubsub))?;
        self.lock().streams.push(subscription.clone());
        self.publish();
        Ok(StreamSubscription { inbound: self.clone(), subscription, running, to_stream, closing })
    }
}

impl StreamSubscription {
    /// The receiver's word on the event `id`.
    pub fn processed(&self, id: &str, status: i32) {
        let waiting = self.to_stream.lock().remove(id);
        if let Some(waiting) = waiting {
            // The delivery may have run out of time meanwhile.
            let _ = waiting.send(status);
        }
    }

    /// Whether an event waits for a verdict.
    pub fn is_busy(&self) -> bool {
        !self.to_stream.lock().is_empty()
    }

    /// Takes no new events; those under way wait for their verdicts as long as the stream lives.
    pub fn drain(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Ends the subscription; what had no verdict is left to the broker.
    pub async fn close(self) {
        self.closing.store(true, Ordering::Release);
        self.to_stream.ended.cancel();
        self.running.close().await;
        self.inbound.lock().streams.retain(|other| !Arc::ptr_eq(other, &self.subscription));
        self.inbound.publish();
    }
}

/// Delivers into a stream.
struct ToStream {
    shared: Shared,
    events: mpsc::Sender<TopicEventRequest>,
    /// Event ids that wait for a verdict.
    waiting: Mutex<HashMap<String, oneshot::Sender<i32>>>,
    ended: CancellationToken,
}

impl ToStream {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<i32>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Deliver for ToStream {
    async fn deliver(&self, event: &TopicEvent) -> Result<Verdict, Rejected> {
        let message = topic_event(event).map_err(Rejected::new)?;
        let started = Instant::now();
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(message.id.clone(), sender);
        let id = message.id.clone();
        let sent = tokio::select! {
            sent = self.events.send(message) => sent.is_ok(),
            () = self.ended.cancelled() => false,
        };
        let status = if sent {
            tokio::select! {
                status = receiver => status.ok(),
                () = self.ended.cancelled() => None,
            }
        } else {
            None
        };
        let Some(status) = status else {
            self.lock().remove(&id);
            return Err(Rejected::closing());
        };
        let (outcome, process_status, _) = grpc_verdict(status, &id);
        let (component, topic, elapsed) = (&event.pubsub, &event.topic, started.elapsed());
        self.shared.metrics.pubsub_ingress(&Delivery { component, topic, process_status, status: "", elapsed });
        outcome
    }

    async fn deliver_bulk(&self, _event: &BulkEvent) -> Result<Vec<BulkVerdict>, Rejected> {
        Err(Rejected::new("a stream takes no batches"))
    }
}
