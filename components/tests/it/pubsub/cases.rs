//! The cases. [`run`] lists those that hold for every broker; the others hold for some, by name.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use components::pubsub::{
    BulkEntry, BulkPublishRequest, Handler, Message, Outcome, PubSub, PublishRequest, SubscribeRequest, Subscription,
};
use components::{ErrorKind, Metadata};
use uuid::Uuid;

use super::recorder::Recorder;
use crate::fixtures::eventually;

/// Runs what every broker has to do.
pub async fn run(broker: &dyn PubSub) {
    broker.ping().await.expect("ping");
    a_message_arrives_as_it_was_published(broker).await;
    topics_are_apart(broker).await;
    close_waits_for_the_message_in_hand(broker).await;
    nothing_arrives_after_close(broker).await;
    let features = broker.features();
    if features.wildcards {
        a_wildcard_topic_takes_what_it_matches(broker).await;
    }
    if features.bulk_publish {
        a_bulk_arrives_whole(broker).await;
    } else {
        let request = BulkPublishRequest { topic: topic(), entries: Vec::new(), metadata: Metadata::new() };
        let error = broker.bulk_publish(request).await.expect_err("not claimed");
        assert_eq!(*error.kind(), ErrorKind::Unsupported);
    }
}

pub fn topic() -> String {
    format!("topic-{}", Uuid::new_v4())
}

pub async fn publish(broker: &dyn PubSub, topic: &str, text: &str) {
    let request = PublishRequest {
        topic: topic.to_owned(),
        data: Bytes::copy_from_slice(text.as_bytes()),
        metadata: Metadata::new(),
        content_type: None,
    };
    broker.publish(request).await.expect("publish");
}

pub async fn subscribe(broker: &dyn PubSub, topic: &str, handler: Arc<dyn Handler>) -> Box<dyn Subscription> {
    let request = SubscribeRequest { topic: topic.to_owned(), metadata: Metadata::new() };
    broker.subscribe(request, handler).await.expect("subscribe")
}

async fn a_message_arrives_as_it_was_published(broker: &dyn PubSub) {
    let topic = topic();
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(broker, &topic, recorder.clone()).await;
    let metadata = Metadata::from([("k".to_owned(), "ключ \"v\"".to_owned())]);
    let data = Bytes::from_static(b"\x00\xff{}\r\n");
    let request =
        PublishRequest { topic: topic.clone(), data: data.clone(), metadata: metadata.clone(), content_type: None };
    broker.publish(request).await.expect("publish");
    recorder.wait_for(1).await;
    let message = &recorder.messages()[0];
    assert_eq!((&message.topic, &message.data), (&topic, &data));
    for (name, value) in metadata {
        assert_eq!(message.metadata.get(&name), Some(&value));
    }
    subscription.close().await;
}

async fn topics_are_apart(broker: &dyn PubSub) {
    let (one, two) = (topic(), topic());
    let (first, second) = (Arc::new(Recorder::new()), Arc::new(Recorder::new()));
    let subscriptions = [subscribe(broker, &one, first.clone()).await, subscribe(broker, &two, second.clone()).await];
    publish(broker, &topic(), "to nobody").await;
    publish(broker, &one, "1").await;
    publish(broker, &two, "2").await;
    first.wait_for(1).await;
    second.wait_for(1).await;
    assert_eq!((first.texts(), second.texts()), (vec!["1".to_owned()], vec!["2".to_owned()]));
    for subscription in subscriptions {
        subscription.close().await;
    }
}

async fn close_waits_for_the_message_in_hand(broker: &dyn PubSub) {
    let topic = topic();
    let recorder = Arc::new(Recorder::blocked());
    let subscription = subscribe(broker, &topic, recorder.clone()).await;
    publish(broker, &topic, "1").await;
    recorder.wait_for(1).await;
    let release = async {
        // Closing must not end before the handler has: give it the chance to do so wrongly.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert_eq!(recorder.running(), 1);
        recorder.release(1);
    };
    tokio::join!(subscription.close(), release);
    assert_eq!(recorder.running(), 0);
}

async fn nothing_arrives_after_close(broker: &dyn PubSub) {
    let topic = topic();
    let (closed, witness) = (Arc::new(Recorder::new()), Arc::new(Recorder::new()));
    subscribe(broker, &topic, closed.clone()).await.close().await;
    let subscription = subscribe(broker, &topic, witness.clone()).await;
    publish(broker, &topic, "1").await;
    witness.wait_for(1).await;
    assert!(closed.texts().is_empty());
    subscription.close().await;
}

async fn a_wildcard_topic_takes_what_it_matches(broker: &dyn PubSub) {
    let base = topic();
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(broker, &format!("{base}*"), recorder.clone()).await;
    publish(broker, &base, "not longer").await;
    publish(broker, &format!("{base}-1"), "1").await;
    publish(broker, &topic(), "other").await;
    publish(broker, &format!("{base}-2"), "2").await;
    recorder.wait_for(2).await;
    assert_eq!(recorder.texts(), ["1", "2"]);
    subscription.close().await;
}

async fn a_bulk_arrives_whole(broker: &dyn PubSub) {
    let topic = topic();
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(broker, &topic, recorder.clone()).await;
    let entries = (0..20).map(|number| BulkEntry {
        entry_id: number.to_string(),
        event: Bytes::from(number.to_string()),
        content_type: "text/plain".to_owned(),
        metadata: Metadata::new(),
    });
    let request = BulkPublishRequest { topic, entries: entries.collect(), metadata: Metadata::new() };
    assert!(broker.bulk_publish(request).await.expect("bulk publish").is_empty());
    recorder.wait_for(20).await;
    let mut texts = recorder.texts();
    texts.sort_by_key(|text| text.parse::<u32>().expect("a number"));
    assert_eq!(texts, (0..20).map(|number| number.to_string()).collect::<Vec<_>>());
    subscription.close().await;
}

pub async fn every_subscriber_gets_every_message(broker: &dyn PubSub) {
    let topic = topic();
    let recorders = [Arc::new(Recorder::new()), Arc::new(Recorder::new())];
    let mut subscriptions = Vec::new();
    for recorder in &recorders {
        subscriptions.push(subscribe(broker, &topic, recorder.clone()).await);
    }
    publish(broker, &topic, "1").await;
    for recorder in &recorders {
        recorder.wait_for(1).await;
    }
    for subscription in subscriptions {
        subscription.close().await;
    }
}

pub async fn messages_come_one_at_a_time_and_in_order(broker: &dyn PubSub) {
    let topic = topic();
    let recorder = Arc::new(Recorder::answering(|message, _| match message.data.as_ref() {
        b"3" => Outcome::Failed { error: "no".to_owned(), redeliver: false },
        _ => Outcome::Ack,
    }));
    let subscription = subscribe(broker, &topic, recorder.clone()).await;
    for number in 0..50 {
        publish(broker, &topic, &number.to_string()).await;
    }
    recorder.wait_for(50).await;
    assert_eq!(recorder.texts(), (0..50).map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(recorder.most_at_once(), 1);
    subscription.close().await;
}

/// Publishes each message it gets once more, until it has got three.
struct Echo {
    broker: Arc<dyn PubSub>,
    recorder: Recorder,
}

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, message: Message) -> Outcome {
        if self.recorder.messages().len() < 2 {
            publish(&*self.broker, &message.topic, "again").await;
        }
        self.recorder.handle(message).await
    }
}

pub async fn a_handler_may_publish_to_its_own_topic(broker: Arc<dyn PubSub>) {
    let topic = topic();
    let echo = Arc::new(Echo { broker: broker.clone(), recorder: Recorder::new() });
    let subscription = subscribe(&*broker, &topic, echo.clone()).await;
    publish(&*broker, &topic, "first").await;
    echo.recorder.wait_for(3).await;
    assert_eq!(echo.recorder.texts(), ["first", "again", "again"]);
    subscription.close().await;
}

pub async fn a_closed_broker_refuses(broker: &dyn PubSub, text: &str) {
    broker.close().await;
    let request = PublishRequest { topic: topic(), data: Bytes::new(), metadata: Metadata::new(), content_type: None };
    assert_eq!(broker.publish(request).await.expect_err("closed").message(), text);
    let request = SubscribeRequest { topic: topic(), metadata: Metadata::new() };
    assert!(broker.subscribe(request, Arc::new(Recorder::new())).await.is_err());
}

/// Two brokers of one group share the messages; a broker of another group gets all of them.
pub async fn groups_compete_within_and_not_between(first: &dyn PubSub, second: &dyn PubSub, other: &dyn PubSub) {
    let topic = topic();
    let recorders = [Arc::new(Recorder::new()), Arc::new(Recorder::new()), Arc::new(Recorder::new())];
    let mut subscriptions = Vec::new();
    for (broker, recorder) in [first, second, other].into_iter().zip(&recorders) {
        subscriptions.push(subscribe(broker, &topic, recorder.clone()).await);
    }
    let expected: Vec<String> = (100..200).map(|number| number.to_string()).collect();
    for text in &expected {
        publish(first, &topic, text).await;
    }
    recorders[2].wait_for(100).await;
    eventually("both have all of them together", || async {
        recorders[0].texts().len() + recorders[1].texts().len() >= 100
    })
    .await;
    for subscription in subscriptions {
        subscription.close().await;
    }
    let mut together = [recorders[0].texts(), recorders[1].texts()].concat();
    together.sort();
    assert_eq!(together, expected);
    let mut all = recorders[2].texts();
    all.sort();
    assert_eq!(all, expected);
}

/// What the application wants to see again comes again; what a policy ended does not.
pub async fn outcomes_decide_about_redelivery(broker: &dyn PubSub) {
    let topic = topic();
    let recorder = Arc::new(Recorder::answering(|message, earlier| match message.data.as_ref() {
        b"again" if earlier < 2 => Outcome::Failed { error: "try again".to_owned(), redeliver: true },
        b"never" => Outcome::Failed { error: "never".to_owned(), redeliver: false },
        _ => Outcome::Ack,
    }));
    let subscription = subscribe(broker, &topic, recorder.clone()).await;
    for text in ["again", "never", "fine"] {
        publish(broker, &topic, text).await;
    }
    // Five deliveries: three of the first. The witness shows that the time for others has passed.
    recorder.wait_for(5).await;
    publish(broker, &topic, "witness").await;
    recorder.wait_for(6).await;
    subscription.close().await;
    let mut texts = recorder.texts();
    texts.sort();
    assert_eq!(texts, ["again", "again", "again", "fine", "never", "witness"]);
}
