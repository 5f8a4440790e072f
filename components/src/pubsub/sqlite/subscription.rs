//! One subscription: takes what is due, has it handled, settles it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::redelivery::{self, Redelivery};
use super::super::{Handler, Message, Outcome, Subscription, offer};
use super::desk::{Desk, POLL};
use super::scribe::{Claimed, Settlement};
use crate::Result;
use crate::task::Task;

/// The most messages taken at once.
const LARGEST_BATCH: usize = 256;

/// Messages that found workers within this time were quick, and more may be taken at once. Slow ones are not hoarded:
/// another process may be idle.
const QUICK: Duration = Duration::from_millis(20);

/// Attempts to settle a message while the file cannot be written, with growing pauses.
const SETTLE_ATTEMPTS: u32 = 8;

/// What a subscription is made of.
pub(super) struct Reader {
    pub(super) id: i64,
    pub(super) topic: String,
    pub(super) desk: Arc<Desk>,
    pub(super) workers: Arc<Semaphore>,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) again: Redelivery,
}

pub(super) struct Running(Task);

#[async_trait]
impl Subscription for Running {
    async fn close(&self) {
        self.0.stop().await;
    }
}

/// Starts reading. `batch`: how many messages are taken at first, and as long as they are handled slowly.
pub(super) fn start(reader: Reader, batch: usize) -> Running {
    let notify = reader.desk.bell.listen_for(reader.id);
    Running(Task::spawn(|token| run(Arc::new(reader), notify, batch, token)))
}

async fn run(reader: Arc<Reader>, notify: Arc<Notify>, smallest: usize, token: CancellationToken) {
    let handlers = TaskTracker::new();
    let mut batch = smallest;
    while !token.is_cancelled() {
        let claimed = match reader.take(batch).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::error!(
                    "pubsub {}: messages of topic {} cannot be taken: {error}",
                    reader.desk.name,
                    reader.topic
                );
                Vec::new()
            }
        };
        if claimed.is_empty() {
            reader.wait(&notify, &token).await;
            continue;
        }
        let start = Instant::now();
        reader.hand_out(claimed, &handlers, &token).await;
        batch = if start.elapsed() < QUICK { (batch * 2).min(LARGEST_BATCH.max(smallest)) } else { smallest };
    }
    reader.desk.bell.forget(reader.id, &notify);
    handlers.close();
    handlers.wait().await;
}

impl Reader {
    /// Takes messages, if some are due: looking costs less than asking the scribe in vain.
    async fn take(&self, batch: usize) -> Result<Vec<Claimed>> {
        match self.desk.next_due(self.id).await? {
            Some(due) if due <= now() => self.desk.scribe.claim(self.id, batch).await,
            _ => Ok(Vec::new()),
        }
    }

    /// Until somebody rings, or something becomes due, or for the time of a poll.
    async fn wait(&self, notify: &Notify, token: &CancellationToken) {
        let due = self.desk.next_due(self.id).await.ok().flatten();
        let until_due = due.map(|due| Duration::from_millis(u64::try_from(due - now()).unwrap_or_default()));
        // What is due already could not be taken just now: no reason to try at full speed.
        let time = until_due.filter(|time| !time.is_zero()).unwrap_or(POLL).min(POLL);
        tokio::select! {
            () = token.cancelled() => (),
            () = notify.notified() => (),
            () = tokio::time::sleep(time) => (),
        }
    }

    /// Starts a handler for each message, in order, as workers become free. What is not begun when the subscription
    /// closes is put back.
    async fn hand_out(self: &Arc<Self>, claimed: Vec<Claimed>, handlers: &TaskTracker, token: &CancellationToken) {
        // All are in hand from now on, also those that wait for a worker.
        let mut left: Vec<_> =
            claimed.into_iter().rev().map(|claimed| (self.desk.held.take(claimed.message), claimed)).collect();
        while let Some((hold, claimed)) = left.pop() {
            let permit = tokio::select! {
                biased;
                () = token.cancelled() => None,
                permit = self.workers.clone().acquire_owned() => permit.ok(),
            };
            let Some(permit) = permit else {
                left.push((hold, claimed));
                for (_hold, claimed) in left {
                    self.settle(claimed.message, Settlement::PutBack { due: now(), failed: false }).await;
                }
                return;
            };
            let reader = self.clone();
            handlers.spawn(async move {
                reader.handle(claimed, permit).await;
                drop(hold);
            });
        }
    }

    async fn handle(&self, claimed: Claimed, permit: OwnedSemaphorePermit) {
        let Claimed { message, failures, data, metadata } = claimed;
        let offered = Message { topic: self.topic.clone(), data, metadata, content_type: None };
        let outcome = offer(&*self.handler, offered).await;
        // The next message need not wait for this one's commit.
        drop(permit);
        let settlement = match outcome {
            Outcome::Ack => Settlement::Taken,
            Outcome::Failed { error, redeliver: false } => {
                redelivery::log_failure(&self.desk.name, &self.topic, &error);
                Settlement::Taken
            }
            Outcome::Failed { error, redeliver: true } if failures >= self.again.limit => {
                redelivery::log_drop(&self.desk.name, &self.topic, failures + 1, &error);
                Settlement::Taken
            }
            Outcome::Failed { redeliver: true, .. } => {
                let pause = i64::try_from(self.again.pause.as_millis()).unwrap_or(i64::MAX);
                Settlement::PutBack { due: now().saturating_add(pause), failed: true }
            }
            Outcome::Abandoned => Settlement::PutBack { due: now(), failed: false },
        };
        self.settle(message, settlement).await;
    }

    /// Settles a message. If that fails for good the message comes again when its lease has run out.
    async fn settle(&self, message: i64, settlement: Settlement) {
        let mut pause = Duration::from_millis(50);
        for attempt in 1..=SETTLE_ATTEMPTS {
            match self.desk.scribe.settle(self.id, message, settlement).await {
                Ok(()) => return,
                Err(error) if attempt == SETTLE_ATTEMPTS => {
                    tracing::error!(
                        "pubsub {}: a message of topic {} was handled but will come again: {error}",
                        self.desk.name,
                        self.topic
                    );
                }
                Err(_) => {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
            }
        }
    }
}

fn now() -> i64 {
    Utc::now().timestamp_millis()
}
