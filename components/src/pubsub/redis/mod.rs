//! `pubsub.redis`: topics as Redis streams, read by consumer groups; it meets a daprd 1.18 on the same streams.
//!
//! **Who consumes.** The group and the consumer are both named `consumerID` (the app id by default), in every replica
//! of an application: as in daprd, which has to share pending entries with us. Nothing here depends on a name of one's
//! own. New entries go to one reader each, whatever its name; pending entries are only ever taken over by
//! `XCLAIM` with a least idle time, which one of several claimers wins; and a consumer's own history, where two
//! replicas would see each other's entries, is never read.
//!
//! **At least once.** An entry leaves the pending list only when the application is done with it. What was left in it
//! for `processingTimeout` (its replica died, its handler failed it or took too long) is taken over by whichever
//! replica looks next, every `redeliverInterval`. Unlike daprd's, entries that wait here for a free worker are kept
//! from going idle, so that slow handlers do not cause duplicates, and what a closing replica had not begun is handed
//! back at once.

mod config;
mod entry;
mod held;
mod reclaim;
mod subscription;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::Utc;
use tokio::sync::Semaphore;

use super::{Features, Handler, PubSub, PublishRequest, SubscribeRequest, Subscription};
use crate::clients::redis::{self, Client, Kind, Route};
use crate::component::{Built, InitContext, Spec};
use crate::{Error, ErrorKind, Result};
use config::Config;
use subscription::Stream;

pub use config::PROPERTIES;

/// Connects.
pub async fn build(spec: Spec, context: InitContext) -> Result<Built> {
    let server = redis::Config::read(&spec.properties, Kind::PubSub)?;
    let config = Config::read(&spec.properties, &context.app_id)?;
    let client = Client::connect(&server).await.map_err(|error| {
        let text = format!("redis streams: error connecting to redis at {}: {error}", server.address());
        Error::new(error.kind().clone(), text)
    })?;
    let workers = Arc::new(Semaphore::new(config.concurrency));
    Ok(Built::PubSub(Arc::new(Streams { client, server, config, workers, closed: AtomicBool::new(false) })))
}

/// The broker.
struct Streams {
    client: Client,
    server: redis::Config,
    config: Config,
    /// Handlers that may run at a time, of all subscriptions together.
    workers: Arc<Semaphore>,
    closed: AtomicBool,
}

#[async_trait]
impl PubSub for Streams {
    fn features(&self) -> Features {
        Features::default()
    }

    async fn publish(&self, request: PublishRequest) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::other("component is closed"));
        }
        let arguments = entry::add(request, self.config.trim(Utc::now()));
        self.client.call("XADD", Route::Key(0), arguments).await.map_err(|error| {
            Error::new(ErrorKind::Unavailable, format!("redis streams: error from publish: {error}"))
        })?;
        Ok(())
    }

    async fn subscribe(&self, request: SubscribeRequest, handler: Arc<dyn Handler>) -> Result<Box<dyn Subscription>> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::other("component is closed"));
        }
        let stream = Stream {
            client: self.client.clone(),
            topic: request.topic,
            config: self.config.clone(),
            workers: self.workers.clone(),
            handler,
        };
        Ok(Box::new(subscription::start(stream, &self.server).await?))
    }

    async fn ping(&self) -> Result<()> {
        self.client.ping().await.map_err(|error| {
            let text = format!("redis pubsub: error connecting to redis at {}: {error}", self.server.address());
            Error::new(Error::from(error).kind().clone(), text)
        })
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.client.quit().await;
    }
}
