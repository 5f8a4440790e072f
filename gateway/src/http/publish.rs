//! `/v1.0/publish`: the pub/sub API over HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use components::Metadata;
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};
use serde_json::{Map, Value};

use super::{Call, respond};
use crate::blocks::pubsub::content_type::{Kind, kind};
use crate::blocks::pubsub::{BulkOutcome, BulkPublishEntry, BulkPublishEvent, PublishEvent};
use crate::body::Body;
use crate::error::{ApiError, table};
use crate::json::{Fields, Json, TypeError, parse_first};
use crate::operation::Front;

type Answer = Result<Response<Body>, ApiError>;

pub async fn publish(mut call: Call) -> Answer {
    let (pubsub, topic, metadata) = (call.parameter(0), call.parameter(1), call.metadata());
    // daprd reads the body before it looks at `rawPayload`; the operation itself finds that again.
    let checked = call.runtime.pubsub.check(Front::Http, &pubsub, &topic, &metadata);
    if let Err(error) = checked
        && error.tag() != "ERR_PUBSUB_REQUEST_METADATA"
    {
        return Err(error);
    }
    let data = call.bytes().await.map_err(|error| table::pubsub::publish(&pubsub, &topic, &error))?;
    let content_type =
        call.headers().get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let content_type = content_type.unwrap_or_default();
    call.runtime.call(&call.context, PublishEvent { pubsub, topic, data, content_type, metadata }).await?;
    Ok(respond::empty())
}

pub async fn bulk(mut call: Call) -> Answer {
    let (pubsub, topic, metadata) = (call.parameter(0), call.parameter(1), call.metadata());
    call.runtime.pubsub.check(Front::Http, &pubsub, &topic, &metadata)?;
    let app_id = call.runtime.shared.app_id.clone();
    let unreadable = |error: String| table::pubsub::unmarshal_events(&pubsub, &topic, &app_id, &error);
    let body = call.bytes().await.map_err(&unreadable)?;
    let json = parse_first(&body).map_err(|error| unreadable(error.to_string()))?;
    let items = entries(&json).map_err(|error| unreadable(error.to_string()))?;
    let mut entries = Vec::with_capacity(items.len());
    for item in items {
        let event = bytes_of(&item.event, &item.content_type)
            .map_err(|error| table::pubsub::marshal_envelope(&pubsub, &topic, &app_id, &error))?;
        if item.entry_id.is_empty() || entries.iter().any(|entry: &BulkPublishEntry| entry.entry_id == item.entry_id) {
            let text = "entryId is duplicated or not present for entry";
            return Err(table::pubsub::marshal_events(&pubsub, &topic, &app_id, text));
        }
        let Item { entry_id, content_type, metadata, .. } = item;
        entries.push(BulkPublishEntry { entry_id, event, content_type, metadata });
    }
    let outcome = call.runtime.call(&call.context, BulkPublishEvent { pubsub, topic, entries, metadata }).await?;
    Ok(match &outcome.error {
        None => respond::empty(),
        Some(error) => {
            call.runtime.count_error(error);
            failure(&outcome, error)
        }
    })
}

/// The body names the failed entries; headers repeat it, as daprd 1.18 has it.
fn failure(outcome: &BulkOutcome, error: &ApiError) -> Response<Body> {
    let failed: Vec<Value> = outcome
        .failed
        .iter()
        .map(|entry| {
            let mut item = Map::new();
            item.insert("entryId".into(), entry.entry_id.clone().into());
            item.insert("error".into(), crate::error::nested(&entry.error).into());
            Value::Object(item)
        })
        .collect();
    let mut body = Map::new();
    body.insert("failedEntries".into(), Value::Array(failed));
    body.insert("errorCode".into(), error.tag().into());
    let text = Value::Object(body).to_string();
    let mut response = respond::data(StatusCode::INTERNAL_SERVER_ERROR, text.clone());
    let message = format!("api error: code = Internal desc = {}", error.message(Front::Http));
    let headers = Metadata::from([("responseData".to_owned(), text), ("error".to_owned(), message)]);
    respond::metadata_headers(&mut response, &headers);
    response
}

struct Item {
    entry_id: String,
    event: Json,
    content_type: String,
    metadata: Option<Metadata>,
}

fn entries(json: &Json) -> Result<Vec<Item>, TypeError> {
    const ENTRY: &str = "bulkPublishMessageEntry";
    const GO_TYPE: &str = "http.bulkPublishMessageEntry";
    let items = match json {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) => items,
        other => return Err(TypeError::value(other, "[]http.bulkPublishMessageEntry")),
    };
    items
        .iter()
        .map(|item| {
            let Some(fields) = Fields::of(item, ENTRY, GO_TYPE)? else {
                return Ok(Item {
                    entry_id: String::new(),
                    event: Json::Null,
                    content_type: String::new(),
                    metadata: None,
                });
            };
            Ok(Item {
                entry_id: fields.string("entryId")?.unwrap_or_default(),
                event: fields.get("event").cloned().unwrap_or(Json::Null),
                content_type: fields.string("contentType")?.unwrap_or_default(),
                metadata: fields.get("metadata").map(|_| fields.string_map("metadata")).transpose()?,
            })
        })
        .collect()
}

/// An entry's event as bytes, by its content type.
fn bytes_of(event: &Json, content_type: &str) -> Result<Bytes, String> {
    const MISMATCH: &str = "error: mismatch between contentType and event";
    match (kind(content_type), event) {
        (Kind::Binary, Json::String(text)) => STANDARD.decode(text).map(Bytes::from).map_err(|error| {
            format!("error: unable to decode base64 application/octect-stream data: {}", go_base64_error(text, &error))
        }),
        (Kind::Text, Json::String(text)) => Ok(Bytes::from(text.clone())),
        (Kind::Json | Kind::CloudEvent, event) => Ok(Bytes::from(event.to_text())),
        _ => Err(MISMATCH.to_owned()),
    }
}

/// Go's words for broken base64: the offset of the first byte that does not fit.
fn go_base64_error(text: &str, error: &base64::DecodeError) -> String {
    let offset = match error {
        base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol(offset, _) => *offset,
        _ => text.len() - text.len() % 4,
    };
    format!("illegal base64 data at input byte {offset}")
}
