//! The behaviour of a broker.

pub mod cases;
pub mod recorder;
mod redis;
mod sqlite;

use crate::fixtures::pubsub;

#[tokio::test]
async fn in_memory() {
    let broker = pubsub("pubsub.in-memory", "app", &[]).await;
    cases::run(&*broker).await;
    cases::every_subscriber_gets_every_message(&*broker).await;
    cases::messages_come_one_at_a_time_and_in_order(&*broker).await;
    cases::a_handler_may_publish_to_its_own_topic(broker.clone()).await;
    cases::a_closed_broker_refuses(&*broker, "component is closed").await;
}
