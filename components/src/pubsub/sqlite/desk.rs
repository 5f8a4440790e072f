//! What all subscriptions of a component share: the scribe, the bell, and the chores between them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::scribe::{LEASE, Scribe};
use super::statements::Statements;
use super::wake::Bell;
use crate::Result;
use crate::clients::sqlite::{Database, error};
use crate::task::{Task, lock};

/// The safety net: how often a subscription looks by itself, and for processes that are gone.
pub(super) const POLL: Duration = Duration::from_secs(1);

/// How often what has ended is removed.
const SWEEP: Duration = Duration::from_secs(60);

pub(super) struct Desk {
    /// The component, for log lines.
    pub(super) name: String,
    pub(super) scribe: Scribe,
    pub(super) bell: Arc<Bell>,
    pub(super) held: Arc<Held>,
    database: Database,
    statements: Arc<Statements>,
    chores: [Task; 3],
    writing: Task,
}

impl Desk {
    pub(super) fn new(
        name: String,
        (scribe, writing): (Scribe, Task),
        bell: Arc<Bell>,
        database: Database,
        statements: Arc<Statements>,
    ) -> Self {
        let held = Arc::new(Held::default());
        let tidy = Tidy {
            scribe: scribe.clone(),
            bell: bell.clone(),
            database: database.clone(),
            statements: statements.clone(),
        };
        let chores = [
            Task::spawn(|token| hear(bell.clone(), token)),
            Task::spawn(|token| renew(held.clone(), scribe.clone(), token)),
            Task::spawn(|token| tidy.run(token)),
        ];
        Self { name, scribe, bell, held, database, statements, chores, writing }
    }

    /// Milliseconds since 1970 from which on a subscription has something to take.
    pub(super) async fn next_due(&self, subscription: i64) -> Result<Option<i64>> {
        sqlx::query_scalar(self.statements.next_due.clone())
            .bind(subscription)
            .fetch_optional(self.database.reader())
            .await
            .map_err(error)
    }

    /// Ends the chores, then the writing of what was asked for before.
    pub(super) async fn close(&self) {
        for chore in &self.chores {
            chore.stop().await;
        }
        self.writing.stop().await;
    }
}

async fn hear(bell: Arc<Bell>, token: CancellationToken) {
    tokio::select! {
        () = token.cancelled() => (),
        () = bell.hear() => (),
    }
}

/// Keeps what is in hand ours.
async fn renew(held: Arc<Held>, scribe: Scribe, token: CancellationToken) {
    while pause(&token, LEASE / 3).await {
        let messages = held.messages();
        if !messages.is_empty() {
            scribe.renew(messages).await;
        }
    }
}

/// False when the token was cancelled meanwhile.
async fn pause(token: &CancellationToken, time: Duration) -> bool {
    tokio::select! {
        () = token.cancelled() => false,
        () = tokio::time::sleep(time) => true,
    }
}

struct Tidy {
    scribe: Scribe,
    bell: Arc<Bell>,
    database: Database,
    statements: Arc<Statements>,
}

impl Tidy {
    async fn run(self, token: CancellationToken) {
        let mut swept: Option<Instant> = None;
        loop {
            self.bury_the_dead().await;
            if swept.is_none_or(|swept| swept.elapsed() >= SWEEP) {
                swept = Some(Instant::now());
                self.sweep().await;
            }
            if !pause(&token, POLL).await {
                return;
            }
        }
    }

    /// Gives the messages of processes that ended without a word to others.
    async fn bury_the_dead(&self) {
        let owners =
            sqlx::query_scalar::<_, String>(self.statements.owners.clone()).fetch_all(self.database.reader()).await;
        match owners {
            Ok(owners) => {
                for owner in owners.into_iter().filter(|owner| self.bell.is_dead(owner)) {
                    self.scribe.bury(owner).await;
                }
            }
            Err(failure) => tracing::warn!("pubsub.sqlite: {}", error(failure)),
        }
    }

    async fn sweep(&self) {
        self.scribe.sweep(self.bell.subscriptions()).await;
        // Gives pages that are not needed any more back to the file system, some at a time.
        if let Err(failure) = sqlx::query("PRAGMA incremental_vacuum(2000)").execute(self.database.writer()).await {
            tracing::debug!("pubsub.sqlite: the file could not be made smaller: {}", error(failure));
        }
    }
}

/// Messages in hand, whose leases have to be renewed. A message may be in hand for several subscriptions.
#[derive(Default)]
pub(super) struct Held(Mutex<HashMap<i64, usize>>);

impl Held {
    pub(super) fn take(self: &Arc<Self>, message: i64) -> Hold {
        *lock(&self.0).entry(message).or_default() += 1;
        Hold { held: self.clone(), message }
    }

    fn messages(&self) -> Vec<i64> {
        lock(&self.0).keys().copied().collect()
    }
}

/// Lets go of a message when it is dropped.
pub(super) struct Hold {
    held: Arc<Held>,
    message: i64,
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = lock(&self.held.0);
        if let Some(count) = held.get_mut(&self.message) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.message);
            }
        }
    }
}
