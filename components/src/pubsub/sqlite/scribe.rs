//! The one who writes: collects what is asked for at the same time into one transaction.
//!
//! A transaction costs the same for one row as for hundreds, and SQLite has one writer at a time anyway. Everybody hears
//! back after the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::Utc;
use sqlx::{Row, Sqlite, Transaction};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::statements::Statements;
use super::wake::Bell;
use crate::clients::sqlite::{Database, error};
use crate::pubsub::PublishRequest;
use crate::task::Task;
use crate::{Error, Metadata, Result};

/// The most requests in one transaction.
const BATCH: usize = 256;

/// Requests that may wait; more make their askers wait too.
const QUEUE: usize = 4 * BATCH;

/// How long a message belongs to who took it. Renewed three times within.
pub(super) const LEASE: Duration = Duration::from_secs(30);

/// A group is kept at least this long after it was last seen, however short messages are kept.
const SHORTEST_GROUP: Duration = Duration::from_secs(3600);

type Done<T> = oneshot::Sender<Result<T>>;

/// A message that was taken, with the number of times that it has failed.
pub(super) struct Claimed {
    pub(super) message: i64,
    pub(super) failures: u32,
    pub(super) data: Bytes,
    pub(super) metadata: Metadata,
}

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) enum Settlement {
    /// The group is done with the message.
    Taken,
    /// To be offered again, not before `due`; `failed` counts it as a failure.
    PutBack { due: i64, failed: bool },
}

enum Request {
    Publish { request: PublishRequest, expires: Option<i64>, done: Done<()> },
    Register { topic: String, consumer: String, done: Done<i64> },
    Claim { subscription: i64, limit: usize, done: Done<Vec<Claimed>> },
    Settle { subscription: i64, message: i64, settlement: Settlement, done: Done<()> },
    Renew { messages: Vec<i64> },
    Bury { owner: String },
    Sweep { subscriptions: Vec<i64> },
}

/// Whom to ask for writing.
#[derive(Clone)]
pub(super) struct Scribe {
    requests: mpsc::Sender<Request>,
}

impl Scribe {
    /// Starts the writing; it ends when the task is stopped, with everything asked for before.
    pub(super) fn start(
        database: Database,
        statements: Arc<Statements>,
        bell: Arc<Bell>,
        retention: Option<Duration>,
    ) -> (Self, Task) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let writer = Writer { database, statements, bell, retention };
        (Self { requests }, Task::spawn(|token| writer.run(queue, token)))
    }

    pub(super) async fn publish(&self, request: PublishRequest, expires: Option<i64>) -> Result<()> {
        self.ask(|done| Request::Publish { request, expires, done }).await
    }

    /// The number of a group's subscription to a topic, which exists from then on.
    pub(super) async fn register(&self, topic: String, consumer: String) -> Result<i64> {
        self.ask(|done| Request::Register { topic, consumer, done }).await
    }

    /// Takes up to `limit` messages that are due.
    pub(super) async fn claim(&self, subscription: i64, limit: usize) -> Result<Vec<Claimed>> {
        self.ask(|done| Request::Claim { subscription, limit, done }).await
    }

    pub(super) async fn settle(&self, subscription: i64, message: i64, settlement: Settlement) -> Result<()> {
        self.ask(|done| Request::Settle { subscription, message, settlement, done }).await
    }

    pub(super) async fn renew(&self, messages: Vec<i64>) {
        self.tell(Request::Renew { messages }).await;
    }

    /// Makes the messages of a process that is gone due at once.
    pub(super) async fn bury(&self, owner: String) {
        self.tell(Request::Bury { owner }).await;
    }

    /// Removes what has ended; `subscriptions` are in use.
    pub(super) async fn sweep(&self, subscriptions: Vec<i64>) {
        self.tell(Request::Sweep { subscriptions }).await;
    }

    async fn ask<T>(&self, request: impl FnOnce(Done<T>) -> Request) -> Result<T> {
        let (done, answer) = oneshot::channel();
        let closed = || Error::other("component is closed");
        self.requests.send(request(done)).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    async fn tell(&self, request: Request) {
        // A scribe that is gone has closed, and then nothing of this matters.
        let _ = self.requests.send(request).await;
    }
}

struct Writer {
    database: Database,
    statements: Arc<Statements>,
    bell: Arc<Bell>,
    retention: Option<Duration>,
}

/// What a request came to.
enum Effect {
    Nothing,
    Registered(i64),
    Claimed(Vec<Claimed>),
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Request>, token: CancellationToken) {
        let mut requests = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                () = token.cancelled(), if !queue.is_closed() => {
                    queue.close();
                    continue;
                }
                count = queue.recv_many(&mut requests, BATCH) => if count == 0 {
                    return;
                },
            }
            self.write(std::mem::take(&mut requests)).await;
        }
    }

    /// All requests or none.
    async fn write(&self, requests: Vec<Request>) {
        let mut woken = BTreeSet::new();
        match self.transact(&requests, &mut woken).await {
            Ok(effects) => {
                self.bell.ring(&woken);
                for (request, effect) in requests.into_iter().zip(effects) {
                    answer(request, effect);
                }
            }
            Err(failure) => {
                tracing::error!("pubsub.sqlite: {} requests failed together: {failure}", requests.len());
                for request in requests {
                    refuse(request, &failure);
                }
            }
        }
    }

    async fn transact(&self, requests: &[Request], woken: &mut BTreeSet<i64>) -> Result<Vec<Effect>> {
        let mut transaction = self.database.begin().await.map_err(error)?;
        let mut effects = Vec::with_capacity(requests.len());
        // Settled together at the end: that is most of what there is to do.
        let mut taken: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for request in requests {
            effects.push(match request {
                Request::Publish { request, expires, .. } => {
                    self.publish(&mut transaction, request, *expires, woken).await?;
                    Effect::Nothing
                }
                Request::Register { topic, consumer, .. } => {
                    let row = sqlx::query(self.statements.register.clone())
                        .bind(topic)
                        .bind(consumer)
                        .bind(now())
                        .fetch_one(&mut *transaction)
                        .await
                        .map_err(error)?;
                    Effect::Registered(row.try_get(0).map_err(error)?)
                }
                Request::Claim { subscription, limit, .. } => {
                    Effect::Claimed(self.claim(&mut transaction, *subscription, *limit).await?)
                }
                Request::Settle { subscription, message, settlement: Settlement::Taken, .. } => {
                    taken.entry(*subscription).or_default().push(*message);
                    Effect::Nothing
                }
                Request::Settle { subscription, message, settlement: Settlement::PutBack { due, failed }, .. } => {
                    sqlx::query(self.statements.put_back.clone())
                        .bind(due)
                        .bind(failed)
                        .bind(subscription)
                        .bind(array(&[*message]))
                        .bind(self.bell.name())
                        .execute(&mut *transaction)
                        .await
                        .map_err(error)?;
                    if *due <= now() {
                        woken.insert(*subscription);
                    }
                    Effect::Nothing
                }
                Request::Renew { messages } => {
                    sqlx::query(self.statements.renew.clone())
                        .bind(end_of_lease())
                        .bind(self.bell.name())
                        .bind(array(messages))
                        .execute(&mut *transaction)
                        .await
                        .map_err(error)?;
                    Effect::Nothing
                }
                Request::Bury { owner } => {
                    self.bury(&mut transaction, owner, woken).await?;
                    Effect::Nothing
                }
                Request::Sweep { subscriptions } => {
                    self.sweep(&mut transaction, subscriptions).await?;
                    Effect::Nothing
                }
            });
        }
        for (subscription, messages) in taken {
            let messages = array(&messages);
            let take = sqlx::query(self.statements.take.clone()).bind(subscription).bind(&messages);
            take.execute(&mut *transaction).await.map_err(error)?;
            let delete = sqlx::query(self.statements.delete_taken.clone()).bind(&messages);
            delete.execute(&mut *transaction).await.map_err(error)?;
        }
        transaction.commit().await.map_err(error)?;
        Ok(effects)
    }

    async fn publish(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        request: &PublishRequest,
        expires: Option<i64>,
        woken: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let now = now();
        let metadata: serde_json::Map<String, serde_json::Value> =
            request.metadata.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let inserted = sqlx::query(self.statements.publish.clone())
            .bind(&request.topic)
            .bind(request.data.as_ref())
            .bind(serde_json::Value::from(metadata).to_string())
            .bind(now)
            .bind(expires)
            .execute(&mut **transaction)
            .await
            .map_err(error)?;
        if inserted.rows_affected() == 0 {
            // No group wants it.
            return Ok(());
        }
        let interested = sqlx::query_scalar::<Sqlite, i64>(self.statements.fan_out.clone())
            .bind(inserted.last_insert_rowid())
            .bind(now)
            .bind(&request.topic)
            .fetch_all(&mut **transaction)
            .await
            .map_err(error)?;
        woken.extend(interested);
        Ok(())
    }

    async fn claim(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        subscription: i64,
        limit: usize,
    ) -> Result<Vec<Claimed>> {
        let now = now();
        let failures: BTreeMap<i64, u32> = sqlx::query_as::<Sqlite, (i64, u32)>(self.statements.claim.clone())
            .bind(self.bell.name())
            .bind(end_of_lease())
            .bind(subscription)
            .bind(now)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut **transaction)
            .await
            .map_err(error)?
            .into_iter()
            .collect();
        let messages: Vec<i64> = failures.keys().copied().collect();
        let rows = sqlx::query_as::<Sqlite, (i64, Vec<u8>, String)>(self.statements.read.clone())
            .bind(array(&messages))
            .bind(now)
            .fetch_all(&mut **transaction)
            .await
            .map_err(error)?;
        // What has ended is claimed but not read: it stays with us until the sweep.
        Ok(rows
            .into_iter()
            .map(|(message, data, metadata)| Claimed {
                message,
                failures: failures.get(&message).copied().unwrap_or_default(),
                data: Bytes::from(data),
                metadata: serde_json::from_str(&metadata).unwrap_or_default(),
            })
            .collect())
    }

    async fn bury(
        &self,
        transaction: &mut Transaction<'static, Sqlite>,
        owner: &str,
        woken: &mut BTreeSet<i64>,
    ) -> Result<()> {
        let left = sqlx::query_scalar::<Sqlite, i64>(self.statements.bury.clone())
            .bind(now())
            .bind(owner)
            .fetch_all(&mut **transaction)
            .await
            .map_err(error)?;
        if !left.is_empty() {
            tracing::info!("pubsub.sqlite: {} messages of a process that is gone are offered again", left.len());
        }
        woken.extend(left);
        Ok(())
    }

    async fn sweep(&self, transaction: &mut Transaction<'static, Sqlite>, subscriptions: &[i64]) -> Result<()> {
        let now = now();
        let oldest = |kept: Duration| now.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX));
        let oldest_message = self.retention.map_or(i64::MIN, oldest);
        let statements = &self.statements;
        let seen = sqlx::query(statements.seen.clone()).bind(array(subscriptions)).bind(now);
        seen.execute(&mut **transaction).await.map_err(error)?;
        let ended = sqlx::query(statements.end_deliveries.clone()).bind(now).bind(oldest_message);
        let ended = ended.execute(&mut **transaction).await.map_err(error)?.rows_affected();
        if ended > 0 {
            tracing::info!("pubsub.sqlite: removed {ended} deliveries that were not taken in time");
        }
        let messages = sqlx::query(statements.end_messages.clone()).bind(now).bind(oldest_message);
        messages.execute(&mut **transaction).await.map_err(error)?;
        if let Some(retention) = self.retention {
            let groups = sqlx::query(statements.end_groups.clone()).bind(oldest(retention.max(SHORTEST_GROUP)));
            if groups.execute(&mut **transaction).await.map_err(error)?.rows_affected() > 0 {
                for orphans in [&statements.end_groupless, &statements.end_orphans] {
                    sqlx::query(orphans.clone()).execute(&mut **transaction).await.map_err(error)?;
                }
            }
        }
        Ok(())
    }
}

fn answer(request: Request, effect: Effect) {
    // Whoever does not wait any more had the effect all the same. Messages that nobody took delivery of come again when
    // their lease has run out.
    match (request, effect) {
        (Request::Publish { done, .. } | Request::Settle { done, .. }, _) => drop(done.send(Ok(()))),
        (Request::Register { done, .. }, Effect::Registered(id)) => drop(done.send(Ok(id))),
        (Request::Claim { done, .. }, Effect::Claimed(claimed)) => drop(done.send(Ok(claimed))),
        _ => (),
    }
}

fn refuse(request: Request, failure: &Error) {
    let failure = failure.clone();
    match request {
        Request::Publish { done, .. } | Request::Settle { done, .. } => drop(done.send(Err(failure))),
        Request::Register { done, .. } => drop(done.send(Err(failure))),
        Request::Claim { done, .. } => drop(done.send(Err(failure))),
        Request::Renew { .. } | Request::Bury { .. } | Request::Sweep { .. } => (),
    }
}

fn array(numbers: &[i64]) -> String {
    serde_json::Value::from(numbers).to_string()
}

fn now() -> i64 {
    Utc::now().timestamp_millis()
}

fn end_of_lease() -> i64 {
    now() + LEASE.as_millis() as i64
}
