//! Brokers.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;
use components::pubsub::{Handler, Message, Outcome, PubSub, PublishRequest, SubscribeRequest};
use futures::{Stream, StreamExt};
use proto_dapr::components as pb;
use proto_dapr::components::pub_sub_server::{PubSub as PubSubService, PubSubServer};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::pubsub;
use super::server::Component;
use crate::fixtures::eventually;
use crate::pubsub::cases::{self, publish, subscribe, topic};
use crate::pubsub::recorder::Recorder;

/// The process's broker: an in-memory one.
#[derive(Clone)]
struct Broker {
    broker: Arc<dyn PubSub>,
    pausable: bool,
    paused: Arc<AtomicBool>,
    pauses: Arc<AtomicUsize>,
    /// What was answered to messages, by their data.
    answers: Arc<Mutex<Vec<(String, Option<String>)>>>,
    streams: Arc<AtomicUsize>,
}

impl Broker {
    fn new(pausable: bool) -> Self {
        Self {
            broker: Arc::new(components::pubsub::in_memory::InMemory::new("process")),
            pausable,
            paused: Arc::default(),
            pauses: Arc::default(),
            answers: Arc::default(),
            streams: Arc::default(),
        }
    }

    async fn start(&self) -> Component {
        Component::start(&["PubSub"], Routes::new(PubSubServer::new(self.clone()))).await
    }

    async fn answers(&self) -> Vec<(String, Option<String>)> {
        self.answers.lock().await.clone()
    }
}

/// Hands messages to a stream and waits for their answers.
struct Forward {
    replies: mpsc::UnboundedSender<Result<pb::PullMessagesResponse, Status>>,
    waiting: Arc<Mutex<HashMap<String, oneshot::Sender<Option<String>>>>>,
    number: AtomicUsize,
    broker: Broker,
    /// The stream has ended.
    gone: CancellationToken,
}

#[async_trait]
impl Handler for Forward {
    async fn handle(&self, message: Message) -> Outcome {
        while self.broker.paused.load(Ordering::SeqCst) {
            if self.gone.is_cancelled() {
                return Outcome::Abandoned;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        let id = self.number.fetch_add(1, Ordering::SeqCst).to_string();
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().await.insert(id.clone(), answer);
        let text = String::from_utf8_lossy(&message.data).into_owned();
        let _ = self.replies.send(Ok(pb::PullMessagesResponse {
            data: message.data,
            topic_name: message.topic,
            metadata: message.metadata.into_iter().collect(),
            content_type: "text/x".to_owned(),
            id,
        }));
        let error = tokio::select! {
            // An answer that came right before the end counts.
            biased;
            Ok(error) = answered => error,
            () = self.gone.cancelled() => return Outcome::Abandoned,
        };
        self.broker.answers.lock().await.push((text, error.clone()));
        match error {
            None => Outcome::Ack,
            Some(error) => Outcome::Failed { error, redeliver: false },
        }
    }
}

#[tonic::async_trait]
impl PubSubService for Broker {
    async fn init(&self, _: Request<pb::PubSubInitRequest>) -> Result<Response<pb::PubSubInitResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn features(&self, _: Request<pb::FeaturesRequest>) -> Result<Response<pb::FeaturesResponse>, Status> {
        let features = ["BULK_PUBSUB", "SUBSCRIBE_WILDCARDS"].map(str::to_owned).to_vec();
        Ok(Response::new(pb::FeaturesResponse { features }))
    }

    async fn publish(&self, request: Request<pb::PublishRequest>) -> Result<Response<pb::PublishResponse>, Status> {
        let request = request.into_inner();
        assert_eq!(request.pubsub_name, "fixture");
        let request = PublishRequest {
            topic: request.topic,
            data: request.data,
            metadata: request.metadata.into_iter().collect(),
            content_type: None,
        };
        self.broker.publish(request).await.expect("publishes");
        Ok(Response::new(Default::default()))
    }

    async fn bulk_publish(
        &self,
        request: Request<pb::BulkPublishRequest>,
    ) -> Result<Response<pb::BulkPublishResponse>, Status> {
        let request = request.into_inner();
        let mut failed_entries = Vec::new();
        for entry in request.entries {
            if entry.event.as_ref() == b"bad" {
                let error = "bad".to_owned();
                failed_entries.push(pb::BulkPublishResponseFailedEntry { entry_id: entry.entry_id, error });
                continue;
            }
            publish(&*self.broker, &request.topic, &String::from_utf8_lossy(&entry.event)).await;
        }
        Ok(Response::new(pb::BulkPublishResponse { failed_entries }))
    }

    type PullMessagesStream = Pin<Box<dyn Stream<Item = Result<pb::PullMessagesResponse, Status>> + Send>>;

    async fn pull_messages(
        &self,
        request: Request<Streaming<pb::PullMessagesRequest>>,
    ) -> Result<Response<Self::PullMessagesStream>, Status> {
        let mut requests = request.into_inner();
        let topic = requests.message().await?.expect("a first message").topic.expect("a topic");
        let (replies, stream) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(HashMap::new()));
        let gone = CancellationToken::new();
        let forward = Forward {
            replies: replies.clone(),
            waiting: waiting.clone(),
            number: AtomicUsize::new(0),
            broker: self.clone(),
            gone: gone.clone(),
        };
        let request = SubscribeRequest { topic: topic.name, metadata: Metadata::new() };
        let subscription = self.broker.subscribe(request, Arc::new(forward)).await.expect("subscribes");
        self.streams.fetch_add(1, Ordering::SeqCst);
        let streams = self.streams.clone();
        tokio::spawn(async move {
            while let Ok(Some(answer)) = requests.message().await {
                let waiting: Option<oneshot::Sender<_>> = waiting.lock().await.remove(&answer.ack_message_id);
                let _ = waiting.expect("an answer to a message").send(answer.ack_error.map(|error| error.message));
            }
            gone.cancel();
            waiting.lock().await.clear();
            subscription.close().await;
            streams.fetch_sub(1, Ordering::SeqCst);
            drop(replies);
        });
        Ok(Response::new(UnboundedReceiverStream::new(stream).boxed()))
    }

    async fn pause(&self, _: Request<pb::PauseRequest>) -> Result<Response<pb::PauseResponse>, Status> {
        self.pauses.fetch_add(1, Ordering::SeqCst);
        if !self.pausable {
            return Err(Status::unimplemented("pause not implemented"));
        }
        self.paused.store(true, Ordering::SeqCst);
        Ok(Response::new(Default::default()))
    }

    async fn resume(&self, _: Request<pb::ResumeRequest>) -> Result<Response<pb::ResumeResponse>, Status> {
        self.paused.store(false, Ordering::SeqCst);
        Ok(Response::new(Default::default()))
    }

    async fn ping(&self, _: Request<pb::PingRequest>) -> Result<Response<pb::PingResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

#[tokio::test]
async fn a_broker_behaves_as_the_one_behind_it() {
    for pausable in [false, true] {
        let process = Broker::new(pausable);
        let component = process.start().await;
        let broker = pubsub(&component).await;
        cases::run(&*broker).await;
        cases::every_subscriber_gets_every_message(&*broker).await;
        cases::messages_come_one_at_a_time_and_in_order(&*broker).await;
        eventually("every stream has ended", || async { process.streams.load(Ordering::SeqCst) == 0 }).await;
    }
}

#[tokio::test]
async fn outcomes_become_answers() {
    let process = Broker::new(false);
    let component = process.start().await;
    let broker = pubsub(&component).await;
    let recorder = Arc::new(Recorder::answering(|message, _| match message.data.as_ref() {
        b"again" => Outcome::Failed { error: "try again".to_owned(), redeliver: true },
        b"never" => Outcome::Failed { error: "never".to_owned(), redeliver: false },
        b"left" => Outcome::Abandoned,
        _ => Outcome::Ack,
    }));
    let topic = topic();
    let subscription = subscribe(&*broker, &topic, recorder.clone()).await;
    for text in ["fine", "again", "never", "left"] {
        publish(&*broker, &topic, text).await;
    }
    recorder.wait_for(4).await;
    assert_eq!(recorder.messages()[0].content_type.as_deref(), Some("text/x"));
    subscription.close().await;
    let answer = |text: &str, error: Option<&str>| (text.to_owned(), error.map(str::to_owned));
    let expected = vec![answer("fine", None), answer("again", Some("try again")), answer("never", Some("never"))];
    assert_eq!(process.answers().await, expected);
}

#[tokio::test]
async fn closing_pauses_acknowledges_what_is_in_hand_and_nothing_more() {
    for pausable in [false, true] {
        let process = Broker::new(pausable);
        let component = process.start().await;
        let broker = pubsub(&component).await;
        let topic = topic();
        let recorder = Arc::new(Recorder::blocked());
        let subscription = subscribe(&*broker, &topic, recorder.clone()).await;
        publish(&*broker, &topic, "in hand").await;
        recorder.wait_for(1).await;
        let during = async {
            eventually("the component is asked to pause", || async { process.pauses.load(Ordering::SeqCst) == 1 })
                .await;
            publish(&*broker, &topic, "too late").await;
            recorder.release(1);
        };
        tokio::join!(subscription.close(), during);
        eventually("the answer has come", || async { !process.answers().await.is_empty() }).await;
        eventually("the stream has ended", || async { process.streams.load(Ordering::SeqCst) == 0 }).await;
        assert_eq!(process.answers().await, vec![("in hand".to_owned(), None)]);
    }
}

#[tokio::test]
async fn a_pause_ends_for_subscriptions_that_go_on_or_come() {
    let process = Broker::new(true);
    let component = process.start().await;
    let broker = pubsub(&component).await;
    let (one, two) = (topic(), topic());
    let recorder = Arc::new(Recorder::new());
    let leaving = subscribe(&*broker, &one, recorder.clone()).await;
    let staying = subscribe(&*broker, &two, recorder.clone()).await;
    eventually("both streams are up", || async { process.streams.load(Ordering::SeqCst) == 2 }).await;
    leaving.close().await;
    assert!(!process.paused.load(Ordering::SeqCst));
    publish(&*broker, &two, "1").await;
    recorder.wait_for(1).await;
    staying.close().await;
    assert!(process.paused.load(Ordering::SeqCst));
    let coming = subscribe(&*broker, &two, recorder.clone()).await;
    assert!(!process.paused.load(Ordering::SeqCst));
    coming.close().await;
}

#[tokio::test]
async fn a_bulk_tells_which_entries_failed() {
    let process = Broker::new(false);
    let component = process.start().await;
    let broker = pubsub(&component).await;
    let entries = ["good", "bad"].map(|text| components::pubsub::BulkEntry {
        entry_id: format!("id-{text}"),
        event: Bytes::from(text),
        content_type: String::new(),
        metadata: Metadata::new(),
    });
    let request =
        components::pubsub::BulkPublishRequest { topic: topic(), entries: entries.into(), metadata: Metadata::new() };
    let failed = broker.bulk_publish(request).await.unwrap();
    assert_eq!((failed[0].entry_id.as_str(), failed[0].error.message()), ("id-bad", "bad"));
    assert_eq!(failed.len(), 1);
}
