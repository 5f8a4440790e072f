//! `pubsub.sqlite`: the suite, and several processes on one file.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use components::Metadata;
use components::pubsub::{PubSub, PublishRequest};
use futures::StreamExt;

use super::cases::{self, publish, subscribe};
use super::recorder::Recorder;
use crate::fixtures::{build_error, eventually, pubsub};
use crate::servers::folder;

async fn broker(folder: &Path, app_id: &str, more: &[(&str, &str)]) -> Arc<dyn PubSub> {
    let path = folder.join("data/pubsub.db");
    let mut metadata = vec![("connectionString", path.to_str().unwrap())];
    metadata.extend_from_slice(more);
    pubsub("pubsub.sqlite", app_id, &metadata).await
}

fn sqlite3(folder: &Path, statement: &str) -> String {
    let path = folder.join("data/pubsub.db");
    let output = Command::new("sqlite3")
        .args(["-cmd", ".timeout 5000"])
        .arg(path)
        .arg(statement)
        .output()
        .expect("the sqlite3 package");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[tokio::test]
async fn a_file() {
    let folder = folder();
    let quick = [("redeliverInterval", "100ms")];
    let first = broker(folder.path(), "app", &quick).await;
    cases::run(&*first).await;
    cases::outcomes_decide_about_redelivery(&*first).await;
    let second = broker(folder.path(), "elsewhere", &[("consumerID", "app")]).await;
    let other = broker(folder.path(), "other", &[]).await;
    cases::groups_compete_within_and_not_between(&*first, &*second, &*other).await;
    cases::a_handler_may_publish_to_its_own_topic(first.clone()).await;
    cases::a_closed_broker_refuses(&*first, "component is closed").await;
    for broker in [second, other] {
        broker.close().await;
    }
    // Everybody has taken everything.
    assert_eq!(sqlite3(folder.path(), "SELECT count(*) FROM pubsub_messages"), "0");
    assert_eq!(sqlite3(folder.path(), "SELECT count(*) FROM pubsub_deliveries"), "0");
}

#[tokio::test]
async fn in_memory() {
    let broker = pubsub("pubsub.sqlite", "app", &[("connectionString", ":memory:")]).await;
    cases::run(&*broker).await;
    broker.close().await;
}

#[tokio::test]
async fn one_worker_keeps_the_order() {
    let folder = folder();
    let broker = broker(folder.path(), "app", &[("concurrency", "1")]).await;
    cases::messages_come_one_at_a_time_and_in_order(&*broker).await;
    broker.close().await;
}

#[tokio::test]
async fn a_group_begins_with_its_subscription_and_then_misses_nothing() {
    let folder = folder();
    let first = broker(folder.path(), "app", &[]).await;
    publish(&*first, "t", "too early").await;
    subscribe(&*first, "t", Arc::new(Recorder::new())).await.close().await;
    first.close().await;
    let publisher = broker(folder.path(), "publisher", &[]).await;
    publish(&*publisher, "t", "while nobody runs").await;
    publisher.close().await;

    let second = broker(folder.path(), "app", &[]).await;
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*second, "t", recorder.clone()).await;
    recorder.wait_for(1).await;
    subscription.close().await;
    assert_eq!(recorder.texts(), ["while nobody runs"]);
    second.close().await;
}

#[tokio::test]
async fn closing_puts_back_what_was_not_begun() {
    let folder = folder();
    let first = broker(folder.path(), "app", &[("concurrency", "1")]).await;
    let slow = Arc::new(Recorder::blocked());
    let subscription = subscribe(&*first, "t", slow.clone()).await;
    for number in 0..5 {
        publish(&*first, "t", &number.to_string()).await;
    }
    slow.wait_for(1).await;
    let second = broker(folder.path(), "app", &[]).await;
    let recorder = Arc::new(Recorder::new());
    let other = subscribe(&*second, "t", recorder.clone()).await;
    let during = async {
        recorder.wait_for(4).await;
        slow.release(1);
    };
    tokio::join!(subscription.close(), during);
    assert_eq!(slow.texts(), ["0"]);
    other.close().await;
    for broker in [first, second] {
        broker.close().await;
    }
    assert_eq!(sqlite3(folder.path(), "SELECT count(*) FROM pubsub_messages"), "0");
}

#[tokio::test]
async fn a_message_ends_with_its_ttl() {
    let folder = folder();
    let broker = broker(folder.path(), "app", &[]).await;
    let recorder = Arc::new(Recorder::new());
    subscribe(&*broker, "t", recorder.clone()).await.close().await;
    let with_ttl = |text: &'static str, ttl: &str| PublishRequest {
        topic: "t".to_owned(),
        data: Bytes::from_static(text.as_bytes()),
        metadata: Metadata::from([("ttlInSeconds".to_owned(), ttl.to_owned())]),
        content_type: None,
    };
    broker.publish(with_ttl("ended", "0")).await.unwrap();
    broker.publish(with_ttl("lives", "100")).await.unwrap();
    let subscription = subscribe(&*broker, "t", recorder.clone()).await;
    recorder.wait_for(1).await;
    subscription.close().await;
    assert_eq!(recorder.texts(), ["lives"]);
    broker.close().await;
}

#[tokio::test]
async fn what_has_ended_is_removed() {
    let folder = folder();
    let first = broker(folder.path(), "app", &[]).await;
    subscribe(&*first, "t", Arc::new(Recorder::new())).await.close().await;
    publish(&*first, "t", "old").await;
    publish(&*first, "t", "new").await;
    first.close().await;
    sqlite3(folder.path(), "UPDATE pubsub_messages SET published = 0 WHERE data = CAST('old' AS BLOB)");
    sqlite3(folder.path(), "INSERT INTO pubsub_subscriptions (topic, consumer, seen) VALUES ('t', 'forgotten', 0)");
    // A component removes it when it starts, and every minute.
    let second = broker(folder.path(), "app", &[]).await;
    eventually("the old is removed", || async {
        sqlite3(folder.path(), "SELECT CAST(data AS TEXT) FROM pubsub_messages") == "new"
            && sqlite3(folder.path(), "SELECT count(*) FROM pubsub_deliveries") == "1"
            && sqlite3(folder.path(), "SELECT group_concat(consumer) FROM pubsub_subscriptions") == "app"
    })
    .await;
    second.close().await;
}

#[tokio::test]
async fn another_process_is_woken_at_once() {
    let folder = folder();
    let (publisher, subscriber) =
        (broker(folder.path(), "publisher", &[]).await, broker(folder.path(), "app", &[]).await);
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*subscriber, "t", recorder.clone()).await;
    // Much less than the poll's second each, even on a busy machine.
    let start = Instant::now();
    for number in 1..=20 {
        publish(&*publisher, "t", &number.to_string()).await;
        while recorder.texts().len() < number {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    subscription.close().await;
    for broker in [publisher, subscriber] {
        broker.close().await;
    }
    assert_eq!(std::fs::read_dir(folder.path().join("data/pubsub.db-wake")).unwrap().count(), 0);
}

#[tokio::test]
async fn thousands_of_messages_a_second() {
    const MESSAGES: usize = 3000;
    let folder = folder();
    let (publisher, subscriber) =
        (broker(folder.path(), "publisher", &[]).await, broker(folder.path(), "app", &[]).await);
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*subscriber, "t", recorder.clone()).await;
    let start = Instant::now();
    let texts: Vec<String> = (0..MESSAGES).map(|number| number.to_string()).collect();
    futures::stream::iter(&texts).for_each_concurrent(64, |text| publish(&*publisher, "t", text)).await;
    let published = start.elapsed();
    recorder.wait_for(MESSAGES).await;
    println!("{MESSAGES} messages published in {published:?}, handled after {:?}", start.elapsed());
    subscription.close().await;
    assert_eq!(recorder.texts().len(), MESSAGES);
    for broker in [publisher, subscriber] {
        broker.close().await;
    }
}

/// Another process of the group `app`: takes messages, prints them, and never finishes one.
const CHILD_FOLDER: &str = "IT_PUBSUB_SQLITE_FOLDER";

#[tokio::test]
#[ignore = "runs as the child process of the test below"]
async fn child() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else { return };
    let broker = broker(Path::new(&folder), "app", &[]).await;
    let recorder = Arc::new(Recorder::blocked());
    let _subscription = subscribe(&*broker, "t", recorder.clone()).await;
    println!("\nready");
    recorder.wait_for(1).await;
    println!("\ngot {}", recorder.texts()[0]);
    std::future::pending::<()>().await;
}

fn start_child(folder: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "pubsub::sqlite::child", "--nocapture"])
        .env(CHILD_FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child process");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
    (child, lines)
}

#[tokio::test]
async fn a_killed_process_loses_nothing() {
    let folder = folder();
    let path = folder.path().to_owned();
    let (mut child, lines) = start_child(&path);
    let mut lines = tokio::task::spawn_blocking(move || {
        let mut lines = lines;
        assert!(lines.any(|line| line == "ready"));
        lines
    })
    .await
    .unwrap();
    let broker = broker(&path, "app", &[]).await;
    publish(&*broker, "t", "1").await;
    tokio::task::spawn_blocking(move || assert!(lines.any(|line| line == "got 1"))).await.unwrap();
    // It has the message in hand and a lease on it, and dies without a word.
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*broker, "t", recorder.clone()).await;
    child.kill().unwrap();
    child.wait().unwrap();
    let start = Instant::now();
    recorder.wait_for(1).await;
    // Long before the lease ends.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    subscription.close().await;
    assert_eq!(recorder.texts(), ["1"]);
    broker.close().await;
}

#[tokio::test]
async fn a_lease_that_ran_out_frees_the_message() {
    let folder = folder();
    let first = broker(folder.path(), "app", &[]).await;
    subscribe(&*first, "t", Arc::new(Recorder::new())).await.close().await;
    publish(&*first, "t", "1").await;
    // As a process without a socket would leave it: nobody can tell whether it lives.
    let due = chrono::Utc::now().timestamp_millis() + 700;
    sqlite3(folder.path(), &format!("UPDATE pubsub_deliveries SET owner = '~unknown', due = {due}"));
    let recorder = Arc::new(Recorder::new());
    let subscription = subscribe(&*first, "t", recorder.clone()).await;
    recorder.wait_for(1).await;
    assert!(chrono::Utc::now().timestamp_millis() >= due);
    subscription.close().await;
    first.close().await;
}

#[tokio::test]
async fn wrong_metadata_does_not_build() {
    assert_eq!(build_error("pubsub.sqlite", "v1", &[]).await, "missing connection string");
    let metadata = [("connectionString", ":memory:"), ("tablePrefix", "a b")];
    assert_eq!(build_error("pubsub.sqlite", "v1", &metadata).await, "invalid identifier: a b");
}
