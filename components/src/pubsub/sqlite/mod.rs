//! `pubsub.sqlite`: durable topics in one SQLite file that the processes of a user share.
//!
//! **Groups.** Subscribers with one `consumerID` (the app id by default) form a group, also across processes, and
//! compete for its messages; each group gets every message. A group begins with the messages published after its first
//! subscription to a topic. From then on they are kept for it, whether it runs or not, for as long as `retention`.
//!
//! **At least once.** Publishing ends when the message is committed. A message that a process takes is leased to it and
//! the lease is renewed while it is in hand; when the process dies, another takes the message at once if it notices by
//! the dead process's socket, or when the lease has run out. The application's wish to see a message again is granted as
//! by the in-memory broker ([`Redelivery`](super::redelivery::Redelivery)).
//!
//! **Order.** With `concurrency` 1 and one process a group's messages come in the order of publication, but for those
//! that are offered again.
//!
//! **Wake-up.** Beside the file is a folder with a Unix datagram socket of each subscribing process; a publisher tells
//! them after its commit. A slow poll covers what gets lost. Disk syncs are left to SQLite's checkpoints
//! (`synchronous=NORMAL` with a write-ahead log): a commit outlives every crash of a process, and a power failure may
//! take the last moments.

mod config;
mod desk;
mod scribe;
mod statements;
mod subscription;
mod wake;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteSynchronous};
use tokio::sync::Semaphore;

use super::{Features, Handler, PubSub, PublishRequest, SubscribeRequest, Subscription};
use crate::clients::sqlite::{Database, migrate};
use crate::component::{Built, InitContext, Spec};
use crate::{Error, Metadata, Result, metadata};
use config::Config;
use desk::Desk;
use scribe::Scribe;
use statements::Statements;
use wake::Bell;

pub use config::PROPERTIES;

/// Opens the file, makes its tables and its place to be woken at.
pub async fn build(spec: Spec, context: InitContext) -> Result<Built> {
    let config = Config::read(&spec.properties, &context.app_id)?;
    if let Some(folder) = config.path().as_deref().and_then(std::path::Path::parent) {
        std::fs::create_dir_all(folder)
            .map_err(|error| Error::config(format!("the folder {} cannot be made: {error}", folder.display())))?;
    }
    let database = Database::open_with(&config.file, |options| {
        options.synchronous(SqliteSynchronous::Normal).auto_vacuum(SqliteAutoVacuum::Incremental)
    })
    .await?;
    let statements = Arc::new(Statements::new(&config.table_prefix));
    migrate(&database, &format!("{}metadata", config.table_prefix), "migrations", &statements.migrations).await?;
    let bell = Arc::new(Bell::hang(config.path().map(wake_folder)));
    let scribe = Scribe::start(database.clone(), statements.clone(), bell.clone(), config.retention);
    let desk = Arc::new(Desk::new(spec.name, scribe, bell, database.clone(), statements));
    let workers = Arc::new(Semaphore::new(config.concurrency));
    Ok(Built::PubSub(Arc::new(Topics { database, config, desk, workers })))
}

/// The broker.
struct Topics {
    database: Database,
    config: Config,
    desk: Arc<Desk>,
    /// Handlers that may run at a time, of all subscriptions together.
    workers: Arc<Semaphore>,
}

#[async_trait]
impl PubSub for Topics {
    fn features(&self) -> Features {
        Features { message_ttl: true, ..Features::default() }
    }

    async fn publish(&self, request: PublishRequest) -> Result<()> {
        let expires = expires(&request.metadata, Utc::now().timestamp_millis());
        self.desk.scribe.publish(request, expires).await
    }

    async fn subscribe(&self, request: SubscribeRequest, handler: Arc<dyn Handler>) -> Result<Box<dyn Subscription>> {
        let id = self.desk.scribe.register(request.topic.clone(), self.config.consumer.clone()).await?;
        let again = self.config.again;
        let workers = self.workers.clone();
        let reader =
            subscription::Reader { id, topic: request.topic, desk: self.desk.clone(), workers, handler, again };
        Ok(Box::new(subscription::start(reader, self.config.concurrency)))
    }

    async fn ping(&self) -> Result<()> {
        self.database.ping().await
    }

    async fn close(&self) {
        self.desk.close().await;
        self.database.close().await;
    }
}

/// When a message ends, in milliseconds since 1970, by its metadata `ttlInSeconds` or `ttl`: seconds or a Go duration.
/// What is neither, or negative, does not end a message, as daprd has it for brokers without a TTL of their own.
fn expires(metadata: &Metadata, now: i64) -> Option<i64> {
    let named = |name: &str| metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    let text = named("ttl").or_else(|| named("ttlInSeconds"))?.trim();
    let ttl = match text.parse::<u64>() {
        Ok(seconds) => seconds.saturating_mul(1000),
        Err(_) => u64::try_from(metadata::parse_go_duration(text)?.as_millis()).ok()?,
    };
    Some(now.saturating_add(i64::try_from(ttl).unwrap_or(i64::MAX)))
}

/// The folder beside the file where subscribers are woken.
fn wake_folder(mut path: PathBuf) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push("-wake");
    path.set_file_name(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_seconds_or_a_duration() {
        let with = |name: &str, text: &str| expires(&Metadata::from([(name.to_owned(), text.to_owned())]), 1000);
        assert_eq!(with("ttlInSeconds", "2"), Some(3000));
        assert_eq!(with("ttlinseconds", "1500ms"), Some(2500));
        assert_eq!(with("ttl", "0"), Some(1000));
        assert_eq!(with("ttl", "-1"), None);
        assert_eq!(with("ttl", "soon"), None);
        assert_eq!(with("ttl", "18446744073709551615"), Some(i64::MAX));
    }

    #[test]
    fn the_wake_folder_is_beside_the_file() {
        assert_eq!(wake_folder("/x/pubsub.db".into()), PathBuf::from("/x/pubsub.db-wake"));
    }
}
