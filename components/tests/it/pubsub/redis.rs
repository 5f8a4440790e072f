//! `pubsub.redis` against real servers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;
use components::pubsub::{Handler, Message, Outcome, PubSub, PublishRequest};

use super::cases::{self, publish, subscribe};
use super::recorder::Recorder;
use crate::fixtures::{build_error, eventually, pubsub};
use crate::servers::{self, Server, redis_cli};

/// Short times, so that redelivery can be seen.
const QUICK: [(&str, &str); 3] =
    [("processingTimeout", "400ms"), ("redeliverInterval", "100ms"), ("redisMinRetryInterval", "20ms")];

async fn broker(server: &Server, app_id: &str, more: &[(&str, &str)]) -> Arc<dyn PubSub> {
    let address = server.address();
    let mut metadata = vec![("redisHost", address.as_str())];
    metadata.extend_from_slice(more);
    pubsub("pubsub.redis", app_id, &metadata).await
}

/// Entries of the topic `t` that the group `app` has not acknowledged.
fn pending(server: &Server) -> String {
    redis_cli(server, "XPENDING t app").lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn one_server() {
    let server = servers::redis(&[]);
    let first = broker(&server, "app", &QUICK).await;
    cases::run(&*first).await;
    cases::outcomes_decide_about_redelivery(&*first).await;
    let second = broker(&server, "elsewhere", &[("consumerID", "app")]).await;
    let other = broker(&server, "other", &[]).await;
    cases::groups_compete_within_and_not_between(&*first, &*second, &*other).await;
    cases::a_closed_broker_refuses(&*first, "component is closed").await;
}

#[tokio::test]
async fn a_cluster() {
    let nodes = servers::redis_cluster();
    let more = [("redisType", "cluster")];
    let first = broker(&nodes[0], "app", &[QUICK.as_slice(), &more].concat()).await;
    cases::run(&*first).await;
    cases::outcomes_decide_about_redelivery(&*first).await;
    let (second, other) = (broker(&nodes[1], "app", &more).await, broker(&nodes[2], "other", &more).await);
    cases::groups_compete_within_and_not_between(&*first, &*second, &*other).await;
}

#[tokio::test]
async fn a_sentinel() {
    let (_server, sentinel) = servers::redis_sentinel();
    let more = [("failover", "true"), ("sentinelMasterName", "primary")];
    cases::run(&*broker(&sentinel, "app", &more).await).await;
}

#[tokio::test]
async fn entries_are_what_daprd_writes_and_reads() {
    let server = servers::redis(&[]);
    let broker = broker(&server, "app", &[]).await;
    let request = PublishRequest {
        topic: "t".to_owned(),
        data: Bytes::from_static(b"hello"),
        metadata: Metadata::from([("k".to_owned(), "v".to_owned())]),
        content_type: None,
    };
    broker.publish(request).await.unwrap();
    let entry = redis_cli(&server, "XRANGE t - +");
    assert_eq!(entry.lines().skip(1).collect::<Vec<_>>(), ["data", "hello", "metadata", r#"{"k":"v"}"#]);
    redis_cli(&server, "XADD t * metadata {\"x\":\"y\"} data daprd");
    redis_cli(&server, "XADD t * data bare metadata nonsense");
    redis_cli(&server, "XADD t * other field");
    // A new group begins with what the stream has.
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*broker, "t", recorder.clone()).await;
    recorder.wait_for(4).await;
    let messages = recorder.messages();
    let found = |text: &str| messages.iter().find(|message| message.data.as_ref() == text.as_bytes()).unwrap();
    assert_eq!(found("hello").metadata["k"], "v");
    assert_eq!(found("daprd").metadata["x"], "y");
    assert!(found("bare").metadata.is_empty() && found("").metadata.is_empty());
    subscription.close().await;
    assert_eq!(pending(&server), "0");
    assert!(redis_cli(&server, "XINFO GROUPS t").contains("name\napp\nconsumers\n1"));
    assert!(redis_cli(&server, "XINFO CONSUMERS t app").starts_with("name\napp\n"));
}

#[tokio::test]
async fn what_a_dead_replica_left_is_taken_over() {
    let server = servers::redis(&[]);
    redis_cli(&server, "XGROUP CREATE t app 0 MKSTREAM");
    for number in 0..7 {
        redis_cli(&server, &format!("XADD t * data {number}"));
    }
    // One died with the common name, one with a name of its own, and one entry was deleted meanwhile.
    redis_cli(&server, "XREADGROUP GROUP app app COUNT 3 STREAMS t >");
    let taken = redis_cli(&server, "XREADGROUP GROUP app another COUNT 3 STREAMS t >");
    let deleted = taken.lines().find(|line| line.contains('-')).unwrap().to_owned();
    redis_cli(&server, &format!("XDEL t {deleted}"));
    // More pending entries than are looked at in one go.
    let broker = broker(&server, "app", &[QUICK.as_slice(), &[("queueDepth", "2")]].concat()).await;
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*broker, "t", recorder.clone()).await;
    recorder.wait_for(6).await;
    eventually("nothing is pending", || async { pending(&server) == "0" }).await;
    subscription.close().await;
    let mut texts = recorder.texts();
    texts.sort();
    assert_eq!(texts, ["0", "1", "2", "4", "5", "6"]);
}

#[tokio::test]
async fn closing_hands_back_what_was_not_begun() {
    let server = servers::redis(&[]);
    let first = broker(&server, "app", &[("concurrency", "1")]).await;
    for number in 0..5 {
        publish(&*first, "t", &number.to_string()).await;
    }
    let slow = Arc::new(Recorder::blocked());
    let subscription = subscribe(&*first, "t", slow.clone()).await;
    slow.wait_for(1).await;
    eventually("all are pending", || async { pending(&server) == "5" }).await;
    let release = async {
        eventually("the rest is handed back", || async {
            let long_idle = redis_cli(&server, "XPENDING t app IDLE 59000 - + 10");
            long_idle.lines().filter(|line| line.contains('-')).count() == 4
        })
        .await;
        slow.release(1);
    };
    tokio::join!(subscription.close(), release);
    // Another replica has them at once, although it would leave them alone for a minute.
    let second = broker(&server, "app", &[]).await;
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*second, "t", recorder.clone()).await;
    recorder.wait_for(4).await;
    subscription.close().await;
    assert_eq!((slow.texts(), pending(&server)), (vec!["0".to_owned()], "0".to_owned()));
}

#[tokio::test]
async fn waiting_for_a_worker_makes_no_duplicates() {
    let server = servers::redis(&[]);
    let broker = broker(&server, "app", &[QUICK.as_slice(), &[("concurrency", "1")]].concat()).await;

    struct Slow(Recorder);
    #[async_trait]
    impl Handler for Slow {
        async fn handle(&self, message: Message) -> Outcome {
            tokio::time::sleep(Duration::from_millis(150)).await;
            self.0.handle(message).await
        }
    }
    // In all longer than entries may be idle, each for itself shorter.
    let slow = Arc::new(Slow(Recorder::new()));
    for number in 0..8 {
        publish(&*broker, "t", &number.to_string()).await;
    }
    let subscription = subscribe(&*broker, "t", slow.clone()).await;
    eventually("nothing is pending", || async { slow.0.texts().len() >= 8 && pending(&server) == "0" }).await;
    subscription.close().await;
    assert_eq!(slow.0.texts(), ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_ended_and_its_message_comes_again() {
    let server = servers::redis(&[]);
    let broker = broker(&server, "app", &QUICK).await;
    let recorder = Arc::new(Recorder::blocked());
    let subscription = subscribe(&*broker, "t", recorder.clone()).await;
    publish(&*broker, "t", "1").await;
    recorder.wait_for(2).await;
    recorder.release(10);
    eventually("nothing is pending", || async { pending(&server) == "0" }).await;
    subscription.close().await;
}

#[tokio::test]
async fn a_subscription_outlives_its_server_and_its_group() {
    let mut server = servers::redis(&[]);
    let broker = broker(&server, "app", &QUICK).await;
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*broker, "t", recorder.clone()).await;
    publish(&*broker, "t", "before").await;
    recorder.wait_for(1).await;
    // Nothing is kept on disk: the stream and the group are gone with the server.
    server.restart();
    let request = || PublishRequest {
        topic: "t".to_owned(),
        data: Bytes::from_static(b"after"),
        metadata: Metadata::new(),
        content_type: None,
    };
    eventually("publishing works again", || async { broker.publish(request()).await.is_ok() }).await;
    eventually("the message arrives", || async { recorder.texts().contains(&"after".to_owned()) }).await;
    redis_cli(&server, "XGROUP DESTROY t app");
    publish(&*broker, "t", "without a group").await;
    eventually("the message arrives", || async { recorder.texts().contains(&"without a group".to_owned()) }).await;
    subscription.close().await;
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_is_gone() {
    let mut server = servers::redis(&[]);
    let broker = broker(&server, "app", &[]).await;
    let subscription = subscribe(&*broker, "t", Arc::new(Recorder::new())).await;
    server.kill();
    tokio::time::timeout(Duration::from_secs(5), subscription.close()).await.expect("closes");
}

#[tokio::test]
async fn streams_are_kept_short() {
    let server = servers::redis(&[]);
    let by_length = broker(&server, "app", &[("maxLenApprox", "10")]).await;
    for number in 0..500 {
        publish(&*by_length, "length", &number.to_string()).await;
    }
    let length: usize = redis_cli(&server, "XLEN length").parse().unwrap();
    assert!((10..=200).contains(&length), "{length}");
    let by_age = broker(&server, "app", &[("streamTTL", "1s")]).await;
    for number in 0..300 {
        redis_cli(&server, &format!("XADD age {}-1 data old", 1 + number));
    }
    publish(&*by_age, "age", "new").await;
    let length: usize = redis_cli(&server, "XLEN age").parse().unwrap();
    assert!(length <= 101, "{length}");
}

#[tokio::test]
async fn wrong_metadata_does_not_build() {
    let address = format!("127.0.0.1:{}", servers::free_port());
    let error = build_error("pubsub.redis", "v1", &[("redisHost", &address)]).await;
    assert!(error.starts_with(&format!("redis streams: error connecting to redis at {address}: ")), "{error}");
    let error = build_error("pubsub.redis", "v1", &[("redisHost", &address), ("processingTimeout", "soon")]).await;
    assert_eq!(
        error,
        "redis client configuration error: invalid value for processingTimeout: 'soon' is not a duration"
    );
}
