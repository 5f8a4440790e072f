//! Brokers in other processes.

mod pausing;
mod pull;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use proto_dapr::components as pb;
use proto_dapr::components::pub_sub_client::PubSubClient;
use tokio::sync::oneshot;

use super::socket::{Connection, Socket, init_metadata};
use super::status::error;
use crate::component::{Built, InitContext, Spec};
use crate::pubsub::{
    BulkFailure, BulkPublishRequest, Features, Handler, PubSub, PublishRequest, SubscribeRequest, Subscription,
};
use crate::registry::Registry;
use crate::task::Task;
use crate::{Error, Result};
use pausing::Pausing;

pub(super) const SERVICE: &str = "dapr.proto.components.v1.PubSub";

pub(super) fn register(registry: &mut Registry, kind_and_name: &str, socket: Socket) {
    registry.add(kind_and_name, "v1", &[], move |spec, context| build(socket.clone(), spec, context));
}

async fn build(socket: Socket, spec: Spec, context: InitContext) -> Result<Built> {
    let connection = socket.connect(&spec.name, context.init_timeout).await?;
    let mut client = PubSubClient::new(connection).max_decoding_message_size(usize::MAX);
    client.init(pb::PubSubInitRequest { metadata: init_metadata(&spec.properties) }).await.map_err(error)?;
    let names = client.features(pb::FeaturesRequest {}).await.map_err(error)?.into_inner().features;
    let has = |name: &str| names.iter().any(|known| known == name);
    let features = Features {
        message_ttl: has("MESSAGE_TTL"),
        wildcards: has("SUBSCRIBE_WILDCARDS"),
        bulk_publish: has("BULK_PUBSUB"),
        bulk_subscribe_immediate: has("BULK_SUBSCRIBE_IMMEDIATE"),
    };
    let pausing = Arc::new(Pausing::new(client.clone()));
    Ok(Built::PubSub(Arc::new(Pluggable { name: spec.name, client, features, pausing })))
}

struct Pluggable {
    name: String,
    client: PubSubClient<Connection>,
    features: Features,
    pausing: Arc<Pausing>,
}

#[async_trait]
impl PubSub for Pluggable {
    fn features(&self) -> Features {
        self.features
    }

    async fn publish(&self, request: PublishRequest) -> Result<()> {
        let request = pb::PublishRequest {
            data: request.data,
            pubsub_name: self.name.clone(),
            topic: request.topic,
            metadata: request.metadata.into_iter().collect(),
            content_type: request.content_type.unwrap_or_default(),
        };
        self.client.clone().publish(request).await.map_err(error)?;
        Ok(())
    }

    async fn bulk_publish(&self, request: BulkPublishRequest) -> Result<Vec<BulkFailure>> {
        if !self.features.bulk_publish {
            return Err(Error::unsupported("bulk publish"));
        }
        let entries = request.entries.into_iter().map(|entry| pb::BulkMessageEntry {
            entry_id: entry.entry_id,
            event: entry.event,
            content_type: entry.content_type,
            metadata: entry.metadata.into_iter().collect(),
        });
        let request = pb::BulkPublishRequest {
            entries: entries.collect(),
            pubsub_name: self.name.clone(),
            topic: request.topic,
            metadata: request.metadata.into_iter().collect(),
        };
        let reply = self.client.clone().bulk_publish(request).await.map_err(error)?.into_inner();
        let failure = |failed: pb::BulkPublishResponseFailedEntry| BulkFailure {
            entry_id: failed.entry_id,
            error: Error::other(failed.error),
        };
        Ok(reply.failed_entries.into_iter().map(failure).collect())
    }

    async fn subscribe(&self, request: SubscribeRequest, handler: Arc<dyn Handler>) -> Result<Box<dyn Subscription>> {
        self.pausing.opened().await;
        let topic = pb::Topic { name: request.topic, metadata: request.metadata.into_iter().collect() };
        let drain = Arc::new(AtomicBool::new(false));
        let (ready, is_ready) = oneshot::channel();
        let pull = pull::Pull { client: self.client.clone(), topic, handler, drain: drain.clone() };
        let running =
            Running { pausing: self.pausing.clone(), drain, task: Task::spawn(|token| pull.run(token, ready)) };
        match is_ready.await {
            Ok(Ok(())) => Ok(Box::new(running)),
            Ok(Err(error)) => {
                self.pausing.failed().await;
                Err(error.context("unable to subscribe"))
            }
            Err(_) => {
                self.pausing.failed().await;
                Err(Error::other("unable to subscribe: the subscription ended"))
            }
        }
    }

    async fn ping(&self) -> Result<()> {
        self.client.clone().ping(pb::PingRequest {}).await.map_err(error)?;
        Ok(())
    }
}

struct Running {
    pausing: Arc<Pausing>,
    /// Whether the component was paused, so that what it had sent before can still be handled.
    drain: Arc<AtomicBool>,
    task: Task,
}

#[async_trait]
impl Subscription for Running {
    async fn close(&self) {
        let paused = self.pausing.closing().await;
        self.drain.store(paused, Ordering::Release);
        self.task.stop().await;
        self.pausing.closed().await;
    }
}
