//! A payload into its cloud event and back.
//!
//! An input is the content type on the first line, `name=value` lines of metadata, an empty line, and the payload.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use components::Metadata;
use components::pubsub::Message;
use gateway::blocks::pubsub::content_type::{Kind, kind};
use gateway::blocks::pubsub::envelope::{self, Source, attribute};
use gateway::inbound::receive;
use gateway::inbound::subscription::Subscription;
use gateway::json::{Json, parse_first, parse_whole};
use gateway::loaded::SubscriptionSource;

/// # Panics
///
/// What was published is not what arrives.
pub fn check(input: &[u8]) {
    let (head, data) = crate::head_and_body(input);
    let mut lines = head.lines();
    let content_type = lines.next().unwrap_or_default();
    let metadata: Metadata = lines
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    publish(content_type, data, &metadata);
    arrive(content_type, data, metadata);
}

fn publish(content_type: &str, data: &[u8], metadata: &Metadata) {
    let source = Source {
        app_id: "app",
        pubsub: "bus",
        topic: "t",
        content_type,
        data,
        traceparent: "",
        tracestate: "",
        metadata,
    };
    let Ok(mut event) = envelope::envelope(&source) else { return };
    envelope::expire(&mut event, false, metadata);
    envelope::has_expired(&event);
    if let Some(text) = event.get("data_base64").and_then(Json::as_str)
        && !event.contains_key("data")
        && kind(content_type) != Kind::CloudEvent
    {
        assert_eq!(STANDARD.decode(text).as_deref(), Ok(data), "binary data arrives as it was");
    }
    for name in ["specversion", "source", "type", "topic", "pubsubname"] {
        assert!(event.contains_key(name), "an event without {name}");
    }
    let text = Json::Object(event.clone()).to_exact_text();
    assert_eq!(parse_whole(text.as_bytes()), Ok(Json::Object(event.clone())), "an event survives the wire");
    assert_eq!(receive::read_event(text.as_bytes()), Ok(event.clone()));
    // Go's own rendering of numbers loses digits, but stays JSON.
    assert!(parse_first(Json::Object(event).to_text().as_bytes()).is_ok());
}

fn arrive(content_type: &str, data: &[u8], metadata: Metadata) {
    let subscription = Subscription {
        pubsub: "bus".to_owned(),
        topic: "t".to_owned(),
        metadata: metadata.clone(),
        rules: Vec::new(),
        dead_letter_topic: String::new(),
        bulk: None,
        source: SubscriptionSource::Declarative,
    };
    let message = Message {
        topic: "t".to_owned(),
        data: data.to_vec().into(),
        metadata,
        content_type: (!content_type.is_empty()).then(|| content_type.to_owned()),
    };
    if let Ok(event) = receive::read(&subscription, "t".to_owned(), message) {
        attribute(&event.event, "id");
        envelope::has_expired(&event.event);
        assert!(parse_whole(Json::Object(event.event).to_text().as_bytes()).is_ok());
    }
}
