//! The cloud event around a published payload (as daprd 1.18).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Local, SecondsFormat, Utc};
use components::Metadata;
use components::metadata::parse_go_duration;

use super::content_type::{Kind, kind};
use crate::json::{Json, parse_first};

/// An event's attributes and data.
pub type Event = BTreeMap<String, Json>;

/// What the envelope is made from.
pub struct Source<'a> {
    pub app_id: &'a str,
    pub pubsub: &'a str,
    pub topic: &'a str,
    /// Empty means `text/plain`.
    pub content_type: &'a str,
    pub data: &'a [u8],
    /// W3C form, empty without tracing.
    pub traceparent: &'a str,
    pub tracestate: &'a str,
    pub metadata: &'a Metadata,
}

/// The envelope. A payload that is a cloud event already stays one.
///
/// # Errors
/// A payload that claims to be a cloud event and is no JSON object; the text is Go's.
pub fn envelope(source: &Source<'_>) -> Result<Event, String> {
    if kind(source.content_type) == Kind::CloudEvent { completed(source) } else { Ok(new(source)) }
}

fn completed(source: &Source<'_>) -> Result<Event, String> {
    const GO_TYPE: &str = "map[string]interface {}";
    let mut event = match parse_first(source.data) {
        Ok(Json::Object(event)) => event,
        Ok(other) => return Err(format!("json: cannot unmarshal {} into Go value of type {GO_TYPE}", other.kind())),
        Err(error) => return Err(error.to_string()),
    };
    event.entry("time".into()).or_insert_with(|| text(now()));
    if !event.contains_key("traceid") {
        event.insert("traceid".into(), text(source.traceparent));
        event.insert("traceparent".into(), text(source.traceparent));
    }
    event.entry("tracestate".into()).or_insert_with(|| text(source.tracestate));
    event.insert("topic".into(), text(source.topic));
    event.insert("pubsubname".into(), text(source.pubsub));
    for (name, value) in [("source", "Dapr"), ("type", "com.dapr.event.sent"), ("specversion", "1.0")] {
        if event.get(name).is_none_or(|found| *found == Json::Null) {
            event.insert(name.into(), text(value));
        }
    }
    Ok(event)
}

fn new(source: &Source<'_>) -> Event {
    let given = |name: &str| {
        let key = format!("cloudevent.{name}");
        source.metadata.iter().find(|(found, _)| found.eq_ignore_ascii_case(&key)).map(|(_, value)| value.as_str())
    };
    let or = |name: &str, fallback: &str| given(name).filter(|value| !value.is_empty()).unwrap_or(fallback).to_owned();
    let content_type = if source.content_type.is_empty() { "text/plain" } else { source.content_type };
    let trace = given("traceparent").filter(|value| !value.is_empty()).map(str::to_owned);
    let trace = trace.unwrap_or_else(|| given("traceid").unwrap_or(source.traceparent).to_owned());

    let mut event = Event::new();
    event.insert("id".into(), text(or("id", &uuid::Uuid::new_v4().to_string())));
    event.insert("specversion".into(), text("1.0"));
    event.insert("datacontenttype".into(), text(content_type));
    event.insert("source".into(), text(or("source", if source.app_id.is_empty() { "Dapr" } else { source.app_id })));
    event.insert("type".into(), text(or("type", "com.dapr.event.sent")));
    event.insert("topic".into(), text(source.topic));
    event.insert("pubsubname".into(), text(source.pubsub));
    event.insert("traceid".into(), text(trace.clone()));
    event.insert("traceparent".into(), text(trace));
    event.insert("tracestate".into(), text(given("tracestate").unwrap_or(source.tracestate)));
    event.insert("time".into(), text(now()));
    if let Some(subject) = given("subject").filter(|subject| !subject.is_empty()) {
        event.insert("subject".into(), text(subject));
    }
    let plain = || text(String::from_utf8_lossy(source.data));
    match kind(content_type) {
        Kind::Json => event.insert("data".into(), parse_first(source.data).unwrap_or_else(|_| plain())),
        Kind::Binary | Kind::CloudEventProtobuf => {
            event.insert("data_base64".into(), text(STANDARD.encode(source.data)))
        }
        _ if is_protobuf_event(content_type, source.data) => {
            event.insert("data_base64".into(), text(STANDARD.encode(source.data)))
        }
        _ => event.insert("data".into(), plain()),
    };
    event
}

/// `application/x-protobuf` whose bytes are a `io.cloudevents.v1.CloudEvent`: at least its id, source, specversion and
/// type (fields 1 to 4) are texts.
fn is_protobuf_event(content_type: &str, data: &[u8]) -> bool {
    #[derive(Clone, PartialEq, prost::Message)]
    struct CloudEvent {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(string, tag = "2")]
        source: String,
        #[prost(string, tag = "3")]
        spec_version: String,
        #[prost(string, tag = "4")]
        kind: String,
    }
    let bare = content_type.split(';').next().unwrap_or_default().trim();
    bare.eq_ignore_ascii_case("application/x-protobuf")
        && <CloudEvent as prost::Message>::decode(data)
            .is_ok_and(|event| !event.id.is_empty() && !event.spec_version.is_empty())
}

/// `ttlInSeconds` or `ttl`: the event expires at the subscriber when the broker cannot see to it.
pub fn expire(event: &mut Event, broker_has_ttl: bool, metadata: &Metadata) {
    if broker_has_ttl {
        return;
    }
    let Some(ttl) = time_to_live(metadata) else { return };
    let at = Utc::now().checked_add_signed(ttl).unwrap_or(DateTime::<Utc>::MAX_UTC);
    event.insert("expiration".into(), text(at.to_rfc3339_opts(SecondsFormat::Secs, true)));
}

fn time_to_live(metadata: &Metadata) -> Option<chrono::TimeDelta> {
    let value = ["ttl", "ttlInSeconds"]
        .iter()
        .find_map(|name| metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .filter(|value| !value.is_empty())?;
    if let Ok(seconds) = value.parse::<i64>() {
        // Go reads a bare 0 as a duration and other bare numbers as seconds.
        return (seconds >= 0).then(|| chrono::TimeDelta::try_seconds(seconds).unwrap_or(chrono::TimeDelta::MAX));
    }
    match value.strip_prefix('-') {
        Some(rest) => parse_go_duration(rest).map(|_| chrono::TimeDelta::zero()),
        None => chrono::TimeDelta::from_std(parse_go_duration(value)?).ok(),
    }
}

/// Whether the event's `expiration` has passed.
pub fn has_expired(event: &Event) -> bool {
    event
        .get("expiration")
        .and_then(Json::as_str)
        .and_then(|at| DateTime::parse_from_rfc3339(at).ok())
        .is_some_and(|at| at < Utc::now())
}

/// The event that stands for a raw payload at the subscriber.
pub fn of_raw_payload(data: &[u8], pubsub: &str, topic: &str) -> Event {
    [
        ("id", uuid::Uuid::new_v4().to_string()),
        ("specversion", "1.0".to_owned()),
        ("datacontenttype", "application/octet-stream".to_owned()),
        ("source", "Dapr".to_owned()),
        ("type", "com.dapr.event.sent".to_owned()),
        ("topic", topic.to_owned()),
        ("pubsubname", pubsub.to_owned()),
        ("data_base64", STANDARD.encode(data)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), text(value)))
    .collect()
}

/// The text of an attribute, empty when it is absent or no text.
pub fn attribute<'a>(event: &'a Event, name: &str) -> &'a str {
    event.get(name).and_then(Json::as_str).unwrap_or_default()
}

fn now() -> String {
    Local::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn text(value: impl Into<String>) -> Json {
    Json::String(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source<'a>(content_type: &'a str, data: &'a [u8], metadata: &'a Metadata) -> Source<'a> {
        Source {
            app_id: "me",
            pubsub: "bus",
            topic: "t",
            content_type,
            data,
            traceparent: "",
            tracestate: "",
            metadata,
        }
    }

    #[test]
    fn data_is_json_text_or_base64_by_content_type() {
        let none = Metadata::new();
        let event = envelope(&source("application/json", br#"{"n": 12345678901234567890}"#, &none)).unwrap();
        assert_eq!(Json::Object(event).to_exact_text().matches("12345678901234567890").count(), 1);
        let event = envelope(&source("application/json", b"no json", &none)).unwrap();
        assert_eq!(attribute(&event, "data"), "no json");
        let event = envelope(&source("application/octet-stream", b"x", &none)).unwrap();
        assert_eq!(attribute(&event, "data_base64"), "eA==");
        let event = envelope(&source("", b"x", &none)).unwrap();
        assert_eq!(attribute(&event, "datacontenttype"), "text/plain");
    }

    #[test]
    fn overrides_apply_to_new_events_only() {
        let metadata =
            Metadata::from([("CloudEvent.ID".into(), "mine".into()), ("cloudevent.traceid".into(), "t".into())]);
        let event = envelope(&source("text/plain", b"x", &metadata)).unwrap();
        assert_eq!(attribute(&event, "id"), "mine");
        assert_eq!(attribute(&event, "traceparent"), "t");
        let event = envelope(&source("application/cloudevents+json", b"{}", &metadata)).unwrap();
        assert_eq!(attribute(&event, "id"), "");
        assert_eq!(attribute(&event, "source"), "Dapr");
    }

    #[test]
    fn a_cloud_event_that_is_no_object_is_refused() {
        let none = Metadata::new();
        for body in ["null", "[]", "{"] {
            assert!(envelope(&source("application/cloudevents+json", body.as_bytes(), &none)).is_err(), "{body}");
        }
    }

    #[test]
    fn expiry_is_set_and_seen() {
        let mut event = Event::new();
        expire(&mut event, false, &Metadata::from([("ttlInSeconds".into(), "-1".into())]));
        assert!(event.is_empty());
        expire(&mut event, true, &Metadata::from([("ttlInSeconds".into(), "5".into())]));
        assert!(event.is_empty());
        expire(&mut event, false, &Metadata::from([("ttlInSeconds".into(), "500".into())]));
        assert!(!has_expired(&event));
        event.insert("expiration".into(), text("2020-01-01T00:00:00Z"));
        assert!(has_expired(&event));
    }
}
