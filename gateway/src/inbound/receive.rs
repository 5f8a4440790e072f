//! From a broker's message to the event that is routed (as daprd 1.18).

use components::Metadata;
use components::pubsub::Message;

use super::deliver::TopicEvent;
use super::subscription::Subscription;
use crate::blocks::pubsub::content_type::{Kind, kind};
use crate::blocks::pubsub::envelope::{self, Event};
use crate::blocks::pubsub::is_raw_payload;
use crate::json::{Json, parse_whole};

/// The key under which daprd tells the receiver the broker's name.
const PUBSUB_NAME: &str = "pubsubName";
const CONTENT_TYPE: &str = "content-type";

/// Reads a message; the path is still empty.
///
/// # Errors
/// Metadata or a payload that cannot be read; the text is Go's.
pub fn read(subscription: &Subscription, topic: String, message: Message) -> Result<TopicEvent, String> {
    let Message { data, mut metadata, content_type, .. } = message;
    if let Some(content_type) = content_type {
        metadata.insert(CONTENT_TYPE.into(), content_type);
    }
    metadata.insert(PUBSUB_NAME.into(), subscription.pubsub.clone());
    let is_raw = is_raw_payload(&subscription.metadata)?;
    let content_type = metadata.get(CONTENT_TYPE).map_or("application/json", String::as_str);
    let mut out = data.clone();
    let event = if is_raw {
        let mut event = envelope::of_raw_payload(&data, &subscription.pubsub, &topic);
        trace_from(&metadata, &mut event, true);
        out = Json::Object(event.clone()).to_text().into();
        event
    } else if kind(content_type) == Kind::Binary {
        binary_event(&metadata, &data, content_type)
    } else {
        let mut event = read_event(&data)?;
        trace_from(&metadata, &mut event, false);
        event
    };
    Ok(TopicEvent { pubsub: subscription.pubsub.clone(), topic, path: String::new(), event, data: out, metadata })
}

/// A cloud event's JSON.
pub fn read_event(data: &[u8]) -> Result<Event, String> {
    match parse_whole(data) {
        Ok(Json::Object(event)) => Ok(event),
        Ok(Json::Null) => Ok(Event::new()),
        Ok(other) => {
            Err(format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", other.kind()))
        }
        Err(error) => Err(error.unmarshal_text()),
    }
}

/// Attributes from `ce_` metadata; the payload is the data.
fn binary_event(metadata: &Metadata, data: &[u8], content_type: &str) -> Event {
    let mut event: Event = metadata
        .iter()
        .filter_map(|(key, value)| {
            let name = key.to_ascii_lowercase().strip_prefix("ce_")?.to_owned();
            Some((name, Json::String(value.clone())))
        })
        .collect();
    event.insert("data".into(), Json::String(String::from_utf8_lossy(data).into_owned()));
    event.insert("datacontenttype".into(), Json::String(content_type.to_owned()));
    event
}

/// Trace attributes that the event lacks, from the message's metadata; a traceparent is the traceid, too.
fn trace_from(metadata: &Metadata, event: &mut Event, always: bool) {
    let mut put = |name: &str, from: &str, replace: bool| {
        if let Some(value) = metadata.get(from)
            && (replace || !event.contains_key(name))
        {
            event.insert(name.to_owned(), Json::String(value.clone()));
            return true;
        }
        false
    };
    put("traceid", "traceid", always);
    if put("traceparent", "traceparent", always) {
        put("traceid", "traceparent", true);
    }
    put("tracestate", "tracestate", always);
}
