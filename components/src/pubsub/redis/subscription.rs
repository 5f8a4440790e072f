//! One subscription: reads new entries, handles them, acknowledges them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::{Handler, Outcome, Subscription, offer};
use super::config::Config;
use super::entry::Entry;
use super::held::Held;
use super::reclaim;
use crate::clients::redis::{self, Argument, Client, Error, Route};
use crate::task::Task;

/// How long a read waits for new entries.
const BLOCK: Duration = Duration::from_secs(5);

/// How long a read that waits may take to end when the subscription closes.
const FAREWELL: Duration = Duration::from_secs(2);

/// The pauses after reads that failed: the first, and the longest of the doubled ones.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// What a subscription is made of.
#[derive(Clone)]
pub(super) struct Stream {
    pub(super) client: Client,
    pub(super) topic: String,
    pub(super) config: Config,
    pub(super) workers: Arc<Semaphore>,
    pub(super) handler: Arc<dyn Handler>,
}

pub(super) struct Running(Task);

#[async_trait]
impl Subscription for Running {
    async fn close(&self) {
        self.0.stop().await;
    }
}

/// Makes the group and starts reading. The reads block, so they have a connection of their own.
pub(super) async fn start(stream: Stream, server: &redis::Config) -> crate::Result<Running> {
    stream.create_group().await?;
    let reader = Client::connect_blocking(server, BLOCK).await?;
    Ok(Running(Task::spawn(|token| run(stream, reader, token))))
}

async fn run(stream: Stream, reader: Client, token: CancellationToken) {
    let desk = Desk { stream, held: Arc::default(), handlers: TaskTracker::new(), token };
    tokio::join!(read(&desk, &reader), reclaim::run(&desk));
    desk.handlers.close();
    desk.handlers.wait().await;
    reader.quit().await;
}

/// Where entries that were read or taken over are handed to the handler.
pub(super) struct Desk {
    pub(super) stream: Stream,
    pub(super) held: Arc<Held>,
    pub(super) token: CancellationToken,
    handlers: TaskTracker,
}

async fn read(desk: &Desk, reader: &Client) {
    let mut pause = FIRST_PAUSE;
    while !desk.token.is_cancelled() {
        match next_entries(desk, reader).await {
            Ok(entries) => {
                pause = FIRST_PAUSE;
                desk.hand_out(entries).await;
            }
            Err(error) => {
                desk.stream.read_failed(&error).await;
                tokio::select! {
                    () = desk.token.cancelled() => return,
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
                }
            }
        }
    }
}

/// Waits for new entries. When the subscription closes meanwhile the wait is ended at the server, not only here:
/// otherwise it could still give entries to a reader that is gone.
async fn next_entries(desk: &Desk, reader: &Client) -> Result<Vec<Entry>, Error> {
    let Stream { config, topic, .. } = &desk.stream;
    let arguments: Vec<Argument> = vec![
        "GROUP".into(),
        config.consumer.as_str().into(),
        config.consumer.as_str().into(),
        "COUNT".into(),
        (config.queue_depth as i64).into(),
        "BLOCK".into(),
        (BLOCK.as_millis() as i64).into(),
        "STREAMS".into(),
        topic.as_str().into(),
        ">".into(),
    ];
    let mut reading = std::pin::pin!(reader.call_blocking("XREADGROUP", Route::Key(8), arguments));
    let reply = tokio::select! {
        reply = &mut reading => reply?,
        () = desk.token.cancelled() => {
            let ending = tokio::time::timeout(FAREWELL, async {
                if let Err(error) = reader.unblock().await {
                    tracing::debug!("redis streams: a waiting read of {topic} could not be ended early: {error}");
                }
                reading.await
            });
            match ending.await {
                Ok(reply) => reply?,
                // The server is away. What it may still give to this reader is taken over later.
                Err(_) => return Ok(Vec::new()),
            }
        }
    };
    let streams = reply.array().into_iter();
    let entries = streams.filter_map(|stream| stream.array().into_iter().nth(1));
    Ok(entries.flat_map(|entries| entries.array()).filter_map(Entry::parse).collect())
}

impl Desk {
    /// Starts a handler for each entry, in order, as workers become free. What is not begun when the subscription
    /// closes is handed back.
    pub(super) async fn hand_out(&self, entries: Vec<Entry>) {
        let entries: Vec<Entry> = entries.into_iter().filter(|entry| self.held.take(&entry.id)).collect();
        let mut left = entries.into_iter();
        while let Some(entry) = left.next() {
            let permit = tokio::select! {
                biased;
                () = self.token.cancelled() => None,
                permit = self.stream.workers.clone().acquire_owned() => permit.ok(),
            };
            let Some(permit) = permit else {
                let ids: Vec<String> = std::iter::once(entry).chain(left).map(|entry| entry.id).collect();
                ids.iter().for_each(|id| self.held.release(id));
                self.stream.hand_back(&ids).await;
                return;
            };
            let (stream, held) = (self.stream.clone(), self.held.clone());
            self.handlers.spawn(async move {
                let id = entry.id.clone();
                stream.handle(entry, permit).await;
                held.release(&id);
            });
        }
    }
}

impl Stream {
    /// Makes the group, and the stream with it. A group begins with everything that its stream still has.
    pub(super) async fn create_group(&self) -> Result<(), Error> {
        let arguments = vec![
            "CREATE".into(),
            self.topic.as_str().into(),
            self.config.consumer.as_str().into(),
            "0".into(),
            "MKSTREAM".into(),
        ];
        match self.client.call("XGROUP", Route::Key(1), arguments).await {
            Err(error) if !error.is("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    async fn read_failed(&self, error: &Error) {
        let (group, topic) = (&self.config.consumer, &self.topic);
        if error.is("NOGROUP") {
            tracing::warn!(
                "redis streams: consumer group {group} does not exist for stream {topic}. This could mean the server \
                 experienced data loss, or the group/stream was deleted."
            );
            tracing::warn!("redis streams: recreating group {group} for stream {topic}");
            if let Err(error) = self.create_group().await {
                tracing::error!("redis streams: {error}");
            }
            return;
        }
        tracing::error!("redis streams: error reading from stream {topic}: {error}");
    }

    /// Handles an entry and settles it.
    async fn handle(&self, entry: Entry, _permit: OwnedSemaphorePermit) {
        let id = entry.id.clone();
        tracing::debug!("Processing Redis message {id}");
        let handling = offer(&*self.handler, entry.into_message(&self.topic));
        let outcome = match self.config.redelivery {
            Some(redelivery) => tokio::time::timeout(redelivery.processing_timeout, handling).await.ok(),
            None => Some(handling.await),
        };
        match outcome {
            Some(Outcome::Ack) => self.acknowledge(&id).await,
            Some(Outcome::Failed { error, redeliver }) => {
                tracing::error!("Error processing Redis message {id}: {error}");
                if !redeliver {
                    self.acknowledge(&id).await;
                }
            }
            Some(Outcome::Abandoned) => self.hand_back(&[id]).await,
            None => {
                tracing::error!("Error processing Redis message {id}: context deadline exceeded");
                self.hand_back(&[id]).await;
            }
        }
    }

    pub(super) async fn acknowledge(&self, id: &str) {
        let arguments = vec![self.topic.as_str().into(), self.config.consumer.as_str().into(), id.into()];
        if let Err(error) = self.client.call("XACK", Route::Key(0), arguments).await {
            tracing::error!("Error acknowledging Redis message {id}: {error}");
        }
    }

    /// Makes entries look as if they had been left alone long enough to be taken over.
    pub(super) async fn hand_back(&self, ids: &[String]) {
        let Some(redelivery) = self.config.redelivery else { return };
        let idle = i64::try_from(redelivery.processing_timeout.as_millis()).unwrap_or(i64::MAX);
        self.set_idle(ids, idle).await;
    }

    /// Sets the idle time of entries, in milliseconds, without counting it as a delivery.
    pub(super) async fn set_idle(&self, ids: &[String], idle: i64) {
        if ids.is_empty() {
            return;
        }
        let mut arguments: Vec<Argument> = vec![
            self.topic.as_str().into(),
            self.config.consumer.as_str().into(),
            self.config.consumer.as_str().into(),
            0.into(),
        ];
        arguments.extend(ids.iter().map(|id| id.as_str().into()));
        arguments.extend(["IDLE".into(), idle.into(), "JUSTID".into()]);
        if let Err(error) = self.client.call("XCLAIM", Route::Key(0), arguments).await {
            tracing::warn!("redis streams: the idle time of entries of {} could not be set: {error}", self.topic);
        }
    }
}
