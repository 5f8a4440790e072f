//! Delivery to the application: an HTTP request, or a gRPC callback (as daprd 1.18).

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use components::Metadata;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, StatusCode};
use proto_dapr::runtime::*;
use tonic::{Code as GrpcCode, Status};

use super::deliver::{BulkEvent, BulkItem, BulkVerdict, Deliver, Rejected, TopicEvent, Verdict};
use super::span::DeliverySpan;
use crate::app::AppChannel;
use crate::blocks::Shared;
use crate::blocks::pubsub::content_type::{Kind, kind};
use crate::blocks::pubsub::envelope::{Event, attribute};
use crate::body::{Body, collect};
use crate::json::{Json, parse_first};
use crate::resiliency::Code;
use crate::telemetry::metrics::Delivery;

/// The log scopes of deliveries, one for each protocol of the application.
const HTTP_SCOPE: &str = "dapr.runtime.processor.pubsub.subscription.http";
const GRPC_SCOPE: &str = "dapr.runtime.processor.pubsub.subscription.grpc";

/// The most bytes of an application's answer that are looked at.
const MAX_ANSWER: usize = 1 << 20;

/// Delivers to the application.
pub struct ToApp {
    pub shared: Shared,
    pub channel: AppChannel,
}

#[async_trait]
impl Deliver for ToApp {
    async fn deliver(&self, event: &TopicEvent) -> Result<Verdict, Rejected> {
        let started = Instant::now();
        let (outcome, process_status, status) =
            if self.channel.is_grpc() { self.over_grpc(event).await } else { self.over_http(event).await };
        let (component, topic) = (&event.pubsub, &event.topic);
        let elapsed = started.elapsed();
        self.shared.metrics.pubsub_ingress(&Delivery { component, topic, process_status, status, elapsed });
        outcome
    }

    async fn deliver_bulk(&self, event: &BulkEvent) -> Result<Vec<BulkVerdict>, Rejected> {
        if self.channel.is_grpc() { self.bulk_over_grpc(event).await } else { self.bulk_over_http(event).await }
    }
}

/// Outcome, and the two words that metrics show for it.
type Counted = (Result<Verdict, Rejected>, &'static str, &'static str);

impl ToApp {
    async fn over_http(&self, event: &TopicEvent) -> Counted {
        let id = event.id();
        let span = DeliverySpan::start(&self.shared.tracer, &event.topic, event.trace());
        let request = request(&event.path, "application/cloudevents+json", event.data.clone(), &event.metadata, &span);
        let response = match self.channel.invoke(request).await {
            Ok(response) => response,
            Err(error) => {
                let message = format!("error returned from app channel while sending pub/sub event to app: {error}");
                return (Err(Rejected::new(message)), "retry", "");
            }
        };
        let status = response.status();
        span.end_http(status);
        let body = match collect(response.into_body(), MAX_ANSWER).await {
            Ok(body) => body,
            Err(_) => Bytes::new(),
        };
        if status.is_success() {
            return match word(&body).as_deref() {
                None | Some("" | "SUCCESS") => (Ok(Verdict::Done), "success", ""),
                Some("RETRY") => {
                    let message = format!("RETRY status returned from app while processing pub/sub event {id}");
                    (Err(Rejected::new(message)), "retry", "")
                }
                Some("DROP") => {
                    tracing::warn!(target: HTTP_SCOPE, "DROP status returned from app while processing pub/sub event {id}");
                    (Ok(Verdict::Dropped), "drop", "success")
                }
                Some(other) => {
                    let message = format!(
                        "unknown status returned from app while processing pub/sub event {id}, status: {other}"
                    );
                    (Err(Rejected::new(message)), "retry", "")
                }
            };
        }
        let text = String::from_utf8_lossy(&body);
        if status == StatusCode::NOT_FOUND {
            tracing::error!(
                target: HTTP_SCOPE,
                "non-retriable error returned from app while processing pub/sub event {id}: {text}. status code returned: 404"
            );
            return (Ok(Verdict::Dropped), "drop", "");
        }
        let code = status.as_u16();
        let message = format!(
            "retriable error returned from app while processing pub/sub event {id}, topic: {}, body: {text}. status code returned: {code}",
            event.topic
        );
        tracing::warn!(target: HTTP_SCOPE, "{message}");
        (Err(Rejected::with_code(message, Code::Http(code))), "retry", "")
    }

    async fn over_grpc(&self, event: &TopicEvent) -> Counted {
        let message = match topic_event(event) {
            Ok(message) => message,
            Err(error) => {
                let message = format!("error returned from app while processing pub/sub event: {error}");
                return (Err(Rejected::new(message)), "retry", "");
            }
        };
        let id = event.id();
        let span = DeliverySpan::start(&self.shared.tracer, &event.topic, event.trace());
        let answer = self.channel.on_topic_event(message, callback_metadata(&event.metadata, &span)).await;
        span.end_grpc(answer.as_ref().err().map(Status::code));
        match answer {
            Ok(answer) => grpc_verdict(answer.status, id),
            Err(status) if status.code() == GrpcCode::Unimplemented => {
                tracing::warn!(
                    target: GRPC_SCOPE,
                    "non-retriable error returned from app while processing pub/sub event {id}: {}", crate::error::go_status(&status)
                );
                (Ok(Verdict::Ignored), "drop", "")
            }
            Err(status) => {
                let text = crate::error::go_status(&status);
                let message = format!("error returned from app while processing pub/sub event {id}: {text}");
                (Err(Rejected::with_code(message, Code::Grpc(status.code() as i32))), "retry", "")
            }
        }
    }

    async fn bulk_over_http(&self, event: &BulkEvent) -> Result<Vec<BulkVerdict>, Rejected> {
        let entries: Vec<Json> = event.items.iter().map(|item| http_entry(item)).collect();
        let members: BTreeMap<String, Json> = [
            ("id", Json::String(uuid::Uuid::new_v4().to_string())),
            ("type", Json::String("com.dapr.event.sent.bulk".into())),
            ("topic", Json::String(event.topic.clone())),
            ("pubsubname", Json::String(event.pubsub.clone())),
            ("metadata", string_map(&event.metadata)),
            ("entries", Json::Array(entries)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let data = Bytes::from(Json::Object(members).to_text());
        let trace = event.items.iter().find_map(|item| item.event.as_ref().and_then(trace_of));
        let span = DeliverySpan::start(&self.shared.tracer, &event.topic, trace.as_deref());
        let response =
            self.channel.invoke(request(&event.path, "application/json", data, &event.metadata, &span)).await.map_err(
                |error| Rejected::new(format!("error from app channel while sending pub/sub event to app: {error}")),
            )?;
        let status = response.status();
        span.end_http(status);
        let body = collect(response.into_body(), MAX_ANSWER).await.map_err(|error| Rejected::new(error.to_string()))?;
        if status.is_success() {
            let answer = parse_first(&body).map_err(|error| {
                Rejected::new(format!("failed unmarshalling app response for bulk subscribe: {error}"))
            })?;
            return Ok(http_verdicts(&answer));
        }
        if status == StatusCode::NOT_FOUND {
            tracing::error!(
                target: HTTP_SCOPE,
                "Non-retriable error returned from app while processing bulk pub/sub event. status code returned: 404"
            );
            return Ok(ignored(event));
        }
        let message = format!(
            "Retriable error returned from app while processing bulk pub/sub event, topic: {}. status code returned: {}",
            event.topic,
            status.as_u16()
        );
        tracing::warn!(target: HTTP_SCOPE, "{message}");
        Err(Rejected::new(message))
    }

    async fn bulk_over_grpc(&self, event: &BulkEvent) -> Result<Vec<BulkVerdict>, Rejected> {
        let entries = event
            .items
            .iter()
            .map(|item| grpc_entry(item))
            .collect::<Result<Vec<_>, String>>()
            .map_err(Rejected::new)?;
        let message = TopicEventBulkRequest {
            id: uuid::Uuid::new_v4().to_string(),
            entries,
            metadata: event.metadata.clone().into_iter().collect(),
            topic: event.topic.clone(),
            pubsub_name: event.pubsub.clone(),
            r#type: "com.dapr.event.sent.bulk".to_owned(),
            path: event.path.clone(),
        };
        let trace = event.items.iter().find_map(|item| item.event.as_ref().and_then(trace_of));
        let span = DeliverySpan::start(&self.shared.tracer, &event.topic, trace.as_deref());
        let answer = self.channel.on_bulk_topic_event(message, callback_metadata(&event.metadata, &span)).await;
        span.end_grpc(answer.as_ref().err().map(Status::code));
        match answer {
            Ok(answer) => Ok(answer
                .statuses
                .into_iter()
                .map(|status| {
                    let (outcome, ..) = grpc_verdict(status.status, &status.entry_id);
                    BulkVerdict { entry_id: status.entry_id, outcome }
                })
                .collect()),
            Err(status) if status.code() == GrpcCode::Unimplemented => {
                tracing::warn!(
                    target: GRPC_SCOPE,
                    "non-retriable error returned from app while processing bulk pub/sub event: {}", crate::error::go_status(&status)
                );
                Ok(ignored(event))
            }
            Err(status) => {
                let text = crate::error::go_status(&status);
                let message = format!("error returned from app while processing bulk pub/sub event: {text}");
                Err(Rejected::with_code(message, Code::Grpc(status.code() as i32)))
            }
        }
    }
}

/// The status word of an application's answer, if the body is JSON with one.
fn word(body: &[u8]) -> Option<String> {
    match parse_first(body).ok()? {
        Json::Object(members) => {
            let status = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("status"))?.1;
            status.as_str().map(str::to_owned)
        }
        _ => None,
    }
}

fn request(
    path: &str,
    content_type: &'static str,
    data: Bytes,
    metadata: &Metadata,
    span: &DeliverySpan,
) -> Request<Body> {
    let mut request = Request::new(Body::full(data));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = crate::app::path_uri(path);
    *request.headers_mut() = message_headers(metadata);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    span.put_http(request.headers_mut());
    request
}

/// A message's metadata as headers, except for those that the transfer and the span set.
fn message_headers(metadata: &Metadata) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (key, value) in metadata {
        let name = HeaderName::from_bytes(key.to_ascii_lowercase().as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value))
            && name != CONTENT_LENGTH
            && name != CONTENT_TYPE
            && !["traceparent", "tracestate", "grpc-trace-bin"].contains(&name.as_str())
        {
            headers.insert(name, value);
        }
    }
    headers
}

/// A message's metadata for a callback, with its span.
fn callback_metadata(metadata: &Metadata, span: &DeliverySpan) -> HeaderMap {
    let mut headers = message_headers(metadata);
    span.put_grpc(&mut headers);
    headers
}

fn trace_of(event: &Event) -> Option<String> {
    ["traceparent", "traceid"].into_iter().find_map(|name| event.get(name)?.as_str()).map(str::to_owned)
}

fn string_map(metadata: &Metadata) -> Json {
    Json::Object(metadata.iter().map(|(key, value)| (key.clone(), Json::String(value.clone()))).collect())
}

fn http_entry(item: &BulkItem) -> Json {
    let event = match &item.event {
        Some(event) => Json::Object(event.clone()),
        None => Json::String(STANDARD.encode(&item.data)),
    };
    let members = [
        ("entryId", Json::String(item.entry_id.clone())),
        ("event", event),
        ("metadata", string_map(&item.metadata)),
        ("contentType", Json::String(item.content_type.clone())),
    ];
    Json::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// `{"statuses":[{"entryId","status"}]}`; an empty status is a retry here.
fn http_verdicts(answer: &Json) -> Vec<BulkVerdict> {
    let member = |members: &BTreeMap<String, Json>, name: &str| {
        members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
    };
    let Some(Json::Array(statuses)) = answer.as_object().and_then(|members| member(members, "statuses")) else {
        return Vec::new();
    };
    statuses
        .iter()
        .filter_map(|status| {
            let members = status.as_object()?;
            let entry_id = member(members, "entryId")?.as_str()?.to_owned();
            let word = member(members, "status").and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
            let outcome = match word.as_str() {
                "SUCCESS" => Ok(Verdict::Done),
                "DROP" => {
                    tracing::warn!(target: HTTP_SCOPE, "DROP status returned from app while processing pub/sub event {entry_id}");
                    Ok(Verdict::Dropped)
                }
                "" | "RETRY" => Err(Rejected::new(format!(
                    "RETRY required while processing bulk subscribe event for entry id: {entry_id}"
                ))),
                other => Err(Rejected::new(format!(
                    "unknown status returned from app while processing bulk subscribe event {entry_id}: {other}"
                ))),
            };
            Some(BulkVerdict { entry_id, outcome })
        })
        .collect()
}

fn ignored(event: &BulkEvent) -> Vec<BulkVerdict> {
    event
        .items
        .iter()
        .map(|item| BulkVerdict { entry_id: item.entry_id.clone(), outcome: Ok(Verdict::Ignored) })
        .collect()
}

/// What a callback's status number says.
pub(super) fn grpc_verdict(status: i32, id: &str) -> Counted {
    use topic_event_response::TopicEventResponseStatus as Word;
    match Word::try_from(status) {
        Ok(Word::Success) => (Ok(Verdict::Done), "success", ""),
        Ok(Word::Retry) => {
            let message = format!("RETRY status returned from app while processing pub/sub event {id}");
            (Err(Rejected::new(message)), "retry", "")
        }
        Ok(Word::Drop) => {
            tracing::warn!(target: GRPC_SCOPE, "DROP status returned from app while processing pub/sub event {id}");
            (Ok(Verdict::Dropped), "drop", "success")
        }
        Err(_) => {
            let message =
                format!("unknown status returned from app while processing pub/sub event {id}, status: {status}");
            (Err(Rejected::new(message)), "retry", "")
        }
    }
}

/// The event as gRPC receivers get it.
pub(super) fn topic_event(event: &TopicEvent) -> Result<TopicEventRequest, String> {
    let attributes = &event.event;
    Ok(TopicEventRequest {
        id: event.id().to_owned(),
        source: attribute(attributes, "source").to_owned(),
        r#type: attribute(attributes, "type").to_owned(),
        spec_version: attribute(attributes, "specversion").to_owned(),
        data_content_type: attribute(attributes, "datacontenttype").to_owned(),
        data: data_of(attributes)?,
        topic: event.topic.clone(),
        pubsub_name: event.pubsub.clone(),
        path: event.path.clone(),
        extensions: Some(extensions(attributes)),
    })
}

fn grpc_entry(item: &BulkItem) -> Result<TopicEventBulkRequestEntry, String> {
    use topic_event_bulk_request_entry::Event as Carried;
    let carried = match &item.event {
        None => Carried::Bytes(item.data.clone()),
        Some(event) => Carried::CloudEvent(TopicEventCeRequest {
            id: attribute(event, "id").to_owned(),
            source: attribute(event, "source").to_owned(),
            r#type: attribute(event, "type").to_owned(),
            spec_version: attribute(event, "specversion").to_owned(),
            data_content_type: attribute(event, "datacontenttype").to_owned(),
            data: data_of(event)?,
            extensions: Some(extensions(event)),
        }),
    };
    Ok(TopicEventBulkRequestEntry {
        entry_id: item.entry_id.clone(),
        content_type: item.content_type.clone(),
        metadata: item.metadata.clone().into_iter().collect(),
        event: Some(carried),
    })
}

/// The payload: decoded base64, text, or JSON, by the event's content type; nothing for other types.
fn data_of(event: &Event) -> Result<Bytes, String> {
    const UNEXPECTED: &str = "unexpected data type encountered in envelope";
    match (event.get("data_base64"), event.get("data")) {
        (Some(Json::String(text)), _) => STANDARD.decode(text).map(Bytes::from).map_err(|error| error.to_string()),
        (Some(other), _) if *other != Json::Null => Err(UNEXPECTED.to_owned()),
        (_, Some(data)) if *data != Json::Null => match kind(attribute(event, "datacontenttype")) {
            Kind::Text => data.as_str().map(|text| Bytes::from(text.to_owned())).ok_or_else(|| UNEXPECTED.to_owned()),
            Kind::Json | Kind::CloudEvent => Ok(Bytes::from(data.to_text())),
            _ => Ok(data
                .as_str()
                .filter(|_| kind(attribute(event, "datacontenttype")) == Kind::Binary)
                .map(|text| Bytes::from(text.to_owned()))
                .unwrap_or_default()),
        },
        _ => Ok(Bytes::new()),
    }
}

/// Every attribute that the message has no field for.
fn extensions(event: &Event) -> prost_types::Struct {
    const FIELDS: [&str; 7] = ["id", "source", "datacontenttype", "type", "specversion", "data", "data_base64"];
    let fields = event
        .iter()
        .filter(|(name, _)| !FIELDS.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), struct_value(value)))
        .collect();
    prost_types::Struct { fields }
}

fn struct_value(json: &Json) -> prost_types::Value {
    use prost_types::value::Kind as Value;
    let kind = match json {
        Json::Null => Value::NullValue(0),
        Json::Bool(value) => Value::BoolValue(*value),
        Json::Number(text) => Value::NumberValue(text.parse().unwrap_or(f64::NAN)),
        Json::String(text) => Value::StringValue(text.clone()),
        Json::Array(items) => {
            Value::ListValue(prost_types::ListValue { values: items.iter().map(struct_value).collect() })
        }
        Json::Object(members) => Value::StructValue(prost_types::Struct {
            fields: members.iter().map(|(name, value)| (name.clone(), struct_value(value))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}
