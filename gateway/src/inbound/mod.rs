//! What arrives: subscriptions from brokers to the application, or to streams that it opened (as daprd 1.18).
//!
//! A message's way: [`receive`] reads it, [`route`] finds its path, [`handler`] (or [`bulk`]) delivers it through
//! [`deliver::Deliver`] under the inbound policy and settles it with the broker; [`dead_letter`] is the one way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use components::pubsub::{Handler, SubscribeRequest};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::blocks::Shared;
use crate::blocks::pubsub::{PubSubBlock, wire_topic};
use crate::loaded::SubscriptionInfo;

pub mod app;
mod bulk;
mod dead_letter;
pub mod deliver;
mod handler;
pub mod programmatic;
pub mod receive;
pub mod route;
mod span;
pub mod stream;
pub mod subscription;

use deliver::Deliver;
use handler::{Pipeline, Single};
use subscription::Subscription;

/// The log scope of what arrives.
pub(crate) const SCOPE: &str = "dapr.runtime.processor.subscription";

/// All subscriptions of this sidecar. Cheap to clone.
#[derive(Clone)]
pub struct Inbound {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Shared,
    block: PubSubBlock,
    /// `None`: there is no application to deliver to.
    deliver: Option<Arc<dyn Deliver>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    declarative: Vec<Arc<Subscription>>,
    programmatic: Vec<Arc<Subscription>>,
    streams: Vec<Arc<Subscription>>,
    /// Set while subscriptions run.
    running: Option<Running>,
    /// Set for good when the sidecar is about to end.
    is_closed: bool,
}

/// Subscriptions that run, or are tried to be started.
#[derive(Clone)]
struct Running {
    stop: CancellationToken,
    closing: Arc<AtomicBool>,
    tasks: TaskTracker,
}

impl Inbound {
    pub fn new(shared: Shared, block: PubSubBlock, deliver: Option<Arc<dyn Deliver>>) -> Self {
        Self { inner: Arc::new(Inner { shared, block, deliver, state: Mutex::default() }) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the declared subscriptions; of several for one topic the first counts.
    pub fn set_declarative(&self, subscriptions: Vec<Subscription>) {
        let mut kept: Vec<Arc<Subscription>> = Vec::new();
        for subscription in subscriptions {
            if !kept.iter().any(|other| same_topic(other, &subscription)) {
                kept.push(Arc::new(subscription));
            }
        }
        self.lock().declarative = kept;
        self.publish();
    }

    /// Replaces what the application asked for; of several for one topic the last counts.
    pub fn set_programmatic(&self, subscriptions: Vec<Subscription>) {
        let mut kept: Vec<Arc<Subscription>> = Vec::new();
        for subscription in subscriptions {
            kept.retain(|other| !same_topic(other, &subscription));
            kept.push(Arc::new(subscription));
        }
        self.lock().programmatic = kept;
        self.publish();
    }

    /// The application's word goes before what is declared for the same topic.
    fn effective(state: &State) -> Vec<Arc<Subscription>> {
        let declared =
            state.declarative.iter().filter(|one| !state.programmatic.iter().any(|other| same_topic(one, other)));
        declared.chain(&state.programmatic).cloned().collect()
    }

    /// Tells the metadata what there is.
    pub fn publish(&self) {
        let infos: Vec<SubscriptionInfo> = {
            let state = self.lock();
            Self::effective(&state).iter().chain(&state.streams).map(|subscription| subscription.info()).collect()
        };
        self.inner.shared.loaded.update(|components| components.subscriptions = infos.clone());
    }

    /// Starts every subscription; one that fails is tried again until it runs or all are stopped. Starting twice, or
    /// without an application, does nothing.
    pub fn start(&self) {
        let Some(deliver) = self.inner.deliver.clone() else { return };
        let (subscriptions, running) = {
            let mut state = self.lock();
            if state.running.is_some() || state.is_closed {
                return;
            }
            let running =
                Running { stop: CancellationToken::new(), closing: Arc::default(), tasks: TaskTracker::new() };
            state.running = Some(running.clone());
            (Self::effective(&state), running)
        };
        for subscription in subscriptions {
            let pipeline = self.pipeline(subscription, deliver.clone(), running.closing.clone());
            running.tasks.spawn(keep_subscribed(pipeline, running.stop.clone()));
        }
        running.tasks.close();
    }

    /// Stops all subscriptions and waits until what they had is settled. `forever`: they will not start again.
    pub async fn stop(&self, forever: bool) {
        let running = {
            let mut state = self.lock();
            state.is_closed |= forever;
            state.running.take()
        };
        if let Some(running) = running {
            running.closing.store(true, Ordering::Release);
            running.stop.cancel();
            running.tasks.wait().await;
        }
    }

    fn pipeline(
        &self,
        subscription: Arc<Subscription>,
        deliver: Arc<dyn Deliver>,
        closing: Arc<AtomicBool>,
    ) -> Option<Pipeline> {
        let broker = self.inner.shared.loaded.current().pubsub.get(subscription.pubsub.as_str()).cloned()?;
        let (shared, block) = (self.inner.shared.clone(), self.inner.block.clone());
        Some(Pipeline { shared, block, broker, subscription, deliver, closing })
    }
}

impl Inbound {
    /// Subscribes for a receiver of its own, again and again until it works or [`Attached::close`].
    pub fn attach(&self, subscription: Subscription, deliver: Arc<dyn Deliver>) -> Attached {
        let subscription = Arc::new(subscription);
        self.lock().streams.push(subscription.clone());
        self.publish();
        let (closing, stop) = (Arc::new(AtomicBool::new(false)), CancellationToken::new());
        let pipeline = self.pipeline(subscription.clone(), deliver, closing.clone());
        if pipeline.is_none() {
            let Subscription { pubsub, topic, .. } = &*subscription;
            tracing::error!(target: SCOPE, "There is no pubsub '{pubsub}' for a subscription to the topic '{topic}'");
        }
        let task = tokio::spawn(keep_subscribed(pipeline, stop.clone()));
        Attached { inbound: self.clone(), subscription, closing, stop, task }
    }
}

/// A subscription of [`Inbound::attach`].
pub struct Attached {
    inbound: Inbound,
    subscription: Arc<Subscription>,
    closing: Arc<AtomicBool>,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Attached {
    /// Ends the subscription when what it had is settled.
    pub async fn close(self) {
        self.closing.store(true, Ordering::Release);
        self.stop.cancel();
        // It ends by the token; a panic in it has been logged.
        let _ = self.task.await;
        self.inbound.lock().streams.retain(|other| !Arc::ptr_eq(other, &self.subscription));
        self.inbound.publish();
    }
}

fn same_topic(one: &Subscription, other: &Subscription) -> bool {
    one.pubsub == other.pubsub && one.topic == other.topic
}

/// A handler for a pipeline, in batches where the subscription wants them.
fn handler(pipeline: &Pipeline) -> Arc<dyn Handler> {
    match pipeline.subscription.bulk {
        Some(bulk) => Arc::new(bulk::Batched::new(pipeline.clone(), bulk)),
        None => Arc::new(Single(pipeline.clone())),
    }
}

/// One attempt to subscribe.
async fn subscribe(pipeline: &Pipeline) -> Result<Box<dyn components::pubsub::Subscription>, String> {
    let Subscription { topic, pubsub, metadata, .. } = &*pipeline.subscription;
    if !pipeline.broker.scopes.may_subscribe(topic) {
        return Err(format!("subscription to topic '{topic}' on pubsub '{pubsub}' is not allowed"));
    }
    let request = SubscribeRequest { topic: wire_topic(&pipeline.broker, topic), metadata: metadata.clone() };
    pipeline
        .broker
        .broker
        .subscribe(request, handler(pipeline))
        .await
        .map_err(|error| format!("failed to subscribe to topic {topic}: {error}"))
}

/// Subscribes, again and again until it works, and holds the subscription until told to stop.
async fn keep_subscribed(pipeline: Option<Pipeline>, stop: CancellationToken) {
    let Some(pipeline) = pipeline else { return };
    let name = pipeline.subscription.pubsub.clone();
    let topic = pipeline.subscription.topic.clone();
    let mut wait = Duration::from_millis(500);
    let running = loop {
        match subscribe(&pipeline).await {
            Ok(running) => break running,
            Err(error) => {
                tracing::error!(target: SCOPE, "Failed to start subscription for pubsub {name}, topic {topic}: {error}");
                let is_refused = !pipeline.broker.scopes.may_subscribe(&topic);
                if is_refused {
                    return;
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(30)),
        }
    };
    stop.cancelled().await;
    running.close().await;
}
