//! Publish and subscribe: programmatic, declarative, streaming, in bulk, raw, routed, retried and dead.

use std::collections::HashMap;

use dapr::appcallback::{TopicEventRequest, TopicEventResponse};
use dapr::dapr::proto::runtime::v1::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as Sent;
use dapr::dapr::proto::runtime::v1::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as Got;
use dapr::dapr::proto::runtime::v1::topic_event_response::TopicEventResponseStatus as Answer;
use dapr::dapr::proto::runtime::v1::{
    BulkPublishRequest, BulkPublishRequestEntry, SubscribeTopicEventsRequestAlpha1,
    SubscribeTopicEventsRequestInitialAlpha1, SubscribeTopicEventsRequestProcessedAlpha1,
    SubscribeTopicEventsResponseAlpha1,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::Program;
use crate::app::PUBSUB;
use crate::facts::Wrong;

impl Program {
    pub async fn pubsub(&mut self) -> Result<(), Wrong> {
        self.delivered().await?;
        self.answers().await?;
        self.payloads().await?;
        self.streams().await?;
        let refused = self.dapr.publish_event("nobody", "topic", "text/plain", Vec::new(), None).await;
        self.facts.error("pubsub: an unknown component is an error", refused, "code: InvalidArgument")
    }

    async fn publish(&mut self, topic: &str, order: u32, metadata: &[(&str, &str)]) -> Result<(), Wrong> {
        let data = json!({"order": order}).to_string().into_bytes();
        let metadata: HashMap<_, _> = metadata.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Ok(self.dapr.publish_event(PUBSUB, topic, "application/json", data, Some(metadata)).await?)
    }

    async fn delivered(&mut self) -> Result<(), Wrong> {
        self.publish("programmatic", 1, &[]).await?;
        let event = self.inbox.get("programmatic", 1).await?.remove(0);
        self.facts.equal("pubsub: programmatic subscription", order(&event)?, 1)?;
        let attributes = [
            &event.source,
            &event.r#type,
            &event.topic,
            &event.pubsub_name,
            &event.data_content_type,
            &event.spec_version,
        ];
        let expected = [&*self.app_id, "com.dapr.event.sent", "programmatic", PUBSUB, "application/json", "1.0"]
            .map(str::to_owned);
        self.facts.equal("pubsub: the cloud event is filled in", attributes.map(String::clone), expected)?;
        self.publish("declared", 2, &[]).await?;
        let event = self.inbox.get("declared", 1).await?.remove(0);
        self.facts.equal("pubsub: declarative subscription", order(&event)?, 2)?;
        self.publish("routed", 6, &[]).await?;
        self.publish("routed", 7, &[("cloudevent.type", "special")]).await?;
        let event = self.inbox.get("special", 1).await?.remove(0);
        self.facts.equal("pubsub: a rule chooses the route", order(&event)?, 7)?;
        let event = self.inbox.get("otherwise", 1).await?.remove(0);
        self.facts.equal("pubsub: no rule is the default route", order(&event)?, 6)
    }

    async fn answers(&mut self) -> Result<(), Wrong> {
        self.publish("retried", 3, &[]).await?;
        let event = self.inbox.get("retried", 2).await?.remove(1);
        self.facts.equal("pubsub: an answer RETRY brings the event again", order(&event)?, 3)?;
        self.publish("dropped", 4, &[]).await?;
        let event = self.inbox.get("dead", 1).await?.remove(0);
        self.facts.equal("pubsub: a dropped event goes to the dead letter topic", order(&event)?, 4)?;
        self.publish("refused", 5, &[]).await?;
        let event = self.inbox.get("dead", 2).await?.remove(1);
        self.facts.equal("pubsub: an event refused to the end goes to the dead letter topic", order(&event)?, 5)
    }

    async fn payloads(&mut self) -> Result<(), Wrong> {
        let metadata = HashMap::from([("rawPayload".to_owned(), "true".to_owned())]);
        let data = b"\x00raw\xff".to_vec();
        self.dapr.publish_event(PUBSUB, "raw", "application/octet-stream", data.clone(), Some(metadata)).await?;
        let event = self.inbox.get("raw", 1).await?.remove(0);
        self.facts.equal("pubsub: raw payload", event.data, data)?;
        for (topic, fact) in
            [("bulk", "pubsub: bulk publish delivers each entry"), ("together", "pubsub: bulk subscription")]
        {
            let entries = (1..=3).map(|number| BulkPublishRequestEntry {
                entry_id: number.to_string(),
                event: json!({"order": number}).to_string().into_bytes(),
                content_type: "application/json".to_owned(),
                ..Default::default()
            });
            let request = BulkPublishRequest {
                pubsub_name: PUBSUB.to_owned(),
                topic: topic.to_owned(),
                entries: entries.collect(),
                ..Default::default()
            };
            let failed = self.generated.bulk_publish_event(request).await?.into_inner().failed_entries;
            if !failed.is_empty() {
                return Err(format!("failed entries: {failed:?}").into());
            }
            let events = self.inbox.get(topic, 3).await?;
            let mut orders = events.iter().map(order).collect::<Result<Vec<_>, _>>()?;
            orders.sort_unstable();
            self.facts.equal(fact, orders, [1, 2, 3])?;
        }
        Ok(())
    }

    async fn streams(&mut self) -> Result<(), Wrong> {
        let (mut events, answers) = self.stream("streamed", "streamed-dead").await?;
        let (mut letters, letter_answers) = self.stream("streamed-dead", "").await?;
        self.publish("streamed", 8, &[]).await?;
        let event = next(&mut events).await?;
        self.facts.equal("pubsub: streaming subscription", order(&event)?, 8)?;
        answers.send(processed(&event, Answer::Retry)).await?;
        let event = next(&mut events).await?;
        self.facts.equal("pubsub: a stream is given a retried event again", order(&event)?, 8)?;
        answers.send(processed(&event, Answer::Drop)).await?;
        let letter = next(&mut letters).await?;
        self.facts.equal("pubsub: an event that a stream drops is a dead letter", order(&letter)?, 8)?;
        letter_answers.send(processed(&letter, Answer::Success)).await?;
        Ok(())
    }

    /// A streaming subscription, after the sidecar's word that it has begun.
    async fn stream(
        &mut self,
        topic: &str,
        dead: &str,
    ) -> Result<(Streaming<SubscribeTopicEventsResponseAlpha1>, mpsc::Sender<SubscribeTopicEventsRequestAlpha1>), Wrong>
    {
        let (answers, requests) = mpsc::channel(4);
        let initial = SubscribeTopicEventsRequestInitialAlpha1 {
            pubsub_name: PUBSUB.to_owned(),
            topic: topic.to_owned(),
            dead_letter_topic: (!dead.is_empty()).then(|| dead.to_owned()),
            ..Default::default()
        };
        let request = Sent::InitialRequest(initial);
        answers.send(SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(request) }).await?;
        let mut events =
            self.generated.subscribe_topic_events_alpha1(ReceiverStream::new(requests)).await?.into_inner();
        match events.message().await?.and_then(|message| message.subscribe_topic_events_response_type) {
            Some(Got::InitialResponse(_)) => Ok((events, answers)),
            other => Err(format!("expected an initial response, got {other:?}").into()),
        }
    }
}

fn processed(event: &TopicEventRequest, status: Answer) -> SubscribeTopicEventsRequestAlpha1 {
    let processed = SubscribeTopicEventsRequestProcessedAlpha1 {
        id: event.id.clone(),
        status: Some(TopicEventResponse { status: status.into() }),
    };
    SubscribeTopicEventsRequestAlpha1 { subscribe_topic_events_request_type: Some(Sent::EventProcessed(processed)) }
}

async fn next(events: &mut Streaming<SubscribeTopicEventsResponseAlpha1>) -> Result<TopicEventRequest, Wrong> {
    let message = tokio::time::timeout(std::time::Duration::from_secs(20), events.message()).await??;
    match message.and_then(|message| message.subscribe_topic_events_response_type) {
        Some(Got::EventMessage(event)) => Ok(event),
        other => Err(format!("expected an event, got {other:?}").into()),
    }
}

/// The number in an event's data.
fn order(event: &TopicEventRequest) -> Result<u64, Wrong> {
    let data: Value = serde_json::from_slice(&event.data)?;
    data["order"].as_u64().ok_or_else(|| format!("no order in {data}").into())
}
