//! One subscription's stream: messages one at a time, an answer for each, and a new stream when one breaks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use proto_dapr::components as pb;
use proto_dapr::components::pub_sub_client::PubSubClient;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::super::socket::Connection;
use super::super::status::error;
use super::super::stream::{Retry, hang_up, outgoing};
use crate::Result;
use crate::pubsub::{Handler, Message, Outcome, offer};

/// A paused component counts as silent when nothing came for this long, as in daprd.
const QUIET: Duration = Duration::from_millis(100);

/// The longest time that a paused component's last messages are taken, as in daprd.
const DRAIN: Duration = Duration::from_secs(30);

type Ready = oneshot::Sender<Result<()>>;

pub(super) struct Pull {
    pub(super) client: PubSubClient<Connection>,
    pub(super) topic: pb::Topic,
    pub(super) handler: Arc<dyn Handler>,
    pub(super) drain: Arc<AtomicBool>,
}

impl Pull {
    /// Runs until the token is cancelled. `ready` hears when the first stream is under way, or that it failed.
    pub(super) async fn run(self, token: CancellationToken, ready: Ready) {
        let mut ready = Some(ready);
        let mut retry = Retry::default();
        while let Err(status) = self.session(&token, &mut ready).await {
            if let Some(ready) = ready.take() {
                // The subscriber may have given up meanwhile.
                let _ = ready.send(Err(error(status)));
                return;
            }
            tracing::error!("Failed to receive pubsub message of topic {}: {}", self.topic.name, error(status));
            if !retry.wait(&token).await {
                return;
            }
        }
    }

    /// One stream. Returns when the subscription is closed, or fails when the stream ended otherwise.
    async fn session(&self, token: &CancellationToken, ready: &mut Option<Ready>) -> Result<(), Status> {
        let first = pb::PullMessagesRequest { topic: Some(self.topic.clone()), ..Default::default() };
        let (sender, requests, mut taken) = outgoing(Some(first));
        let mut client = self.client.clone();
        let mut call = Box::pin(client.pull_messages(requests));
        let mut replies = loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                Ok(()) = &mut taken, if ready.is_some() => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(Ok(()));
                    }
                }
                reply = &mut call => break reply?.into_inner(),
            }
        };
        if let Some(ready) = ready.take() {
            let _ = ready.send(Ok(()));
        }
        loop {
            tokio::select! {
                biased;
                () = token.cancelled() => break,
                message = replies.message() => match message? {
                    Some(message) => self.answer(message, &sender).await,
                    None => return Err(Status::unavailable("the component ended the stream")),
                },
            }
        }
        if self.drain.load(Ordering::Acquire) {
            self.take_the_rest(&mut replies, &sender).await;
        }
        hang_up(sender, replies).await;
        Ok(())
    }

    /// Handles what the component had sent before it was paused.
    async fn take_the_rest(
        &self,
        replies: &mut Streaming<pb::PullMessagesResponse>,
        sender: &mpsc::UnboundedSender<pb::PullMessagesRequest>,
    ) {
        let start = Instant::now();
        while start.elapsed() < DRAIN {
            match tokio::time::timeout(QUIET, replies.message()).await {
                Ok(Ok(Some(message))) => self.answer(message, sender).await,
                _ => return,
            }
        }
    }

    /// Handles a message and acknowledges it, or not, or says nothing where handling was interrupted.
    async fn answer(&self, message: pb::PullMessagesResponse, sender: &mpsc::UnboundedSender<pb::PullMessagesRequest>) {
        let offered = Message {
            topic: message.topic_name,
            data: message.data,
            metadata: message.metadata.into_iter().collect(),
            content_type: Some(message.content_type).filter(|text| !text.is_empty()),
        };
        let ack_error = match offer(&*self.handler, offered).await {
            Outcome::Ack => None,
            Outcome::Failed { error, .. } => Some(pb::AckMessageError { message: error }),
            Outcome::Abandoned => return,
        };
        let answer = pb::PullMessagesRequest { topic: None, ack_message_id: message.id, ack_error };
        if sender.send(answer).is_err() {
            tracing::error!("a message of topic {} was handled, but its stream has ended", self.topic.name);
        }
    }
}
