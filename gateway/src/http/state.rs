//! `/v1.0/state`: the state API over HTTP.

use bytes::Bytes;
use components::Metadata;
use components::state::{Concurrency, Consistency, Options, Value};
use http::header::{ETAG, HeaderValue, IF_MATCH};
use http::{Response, StatusCode};
use serde_json::{Map, value::RawValue};

use super::{Call, respond};
use crate::blocks::state::{
    DeleteItem, DeleteState, ExecuteStateTransaction, GetBulkState, GetState, QueryState, SaveItem, SaveState,
    TransactionOp,
};
use crate::body::Body;
use crate::error::{ApiError, table};
use crate::json::{Fields, Json, TypeError, parse_first};

type Answer = Result<Response<Body>, ApiError>;

pub async fn get(mut call: Call) -> Answer {
    let (store, key) = (call.parameter(0), call.parameter(1));
    let consistency = consistency(call.query("consistency").as_deref());
    let operation = GetState { store, key, consistency, metadata: call.metadata() };
    let item = call.runtime.call(&call.context, operation).await?;
    let Some(data) = item.data else { return Ok(respond::empty()) };
    let mut response = respond::data(StatusCode::OK, data);
    if let Some(etag) = item.etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
        response.headers_mut().insert(ETAG, etag);
    }
    respond::metadata_headers(&mut response, &item.metadata);
    Ok(response)
}

pub async fn save(mut call: Call) -> Answer {
    let store = call.parameter(0);
    call.runtime.state.require(&store)?;
    let body = call.bytes().await.map_err(table::common::malformed_bare)?;
    let json = parse_first(&body).map_err(|error| table::common::malformed_bare(error.to_string()))?;
    let items =
        save_items(&json, &call.metadata()).map_err(|error| table::common::malformed_bare(error.to_string()))?;
    if items.iter().any(|item| item.key.is_empty()) {
        return Err(table::common::malformed_bare("\"key\" is a required field"));
    }
    call.runtime.call(&call.context, SaveState { store, items }).await?;
    Ok(respond::empty())
}

fn save_items(json: &Json, query: &Metadata) -> Result<Vec<SaveItem>, TypeError> {
    let items = match json {
        Json::Null => return Ok(Vec::new()),
        Json::Array(items) => items,
        other => return Err(TypeError::value(other, "[]state.SetRequest")),
    };
    items.iter().map(|item| save_item(item, query)).collect()
}

/// Go's `state.SetRequest`; a null item is one without members.
fn save_item(json: &Json, query: &Metadata) -> Result<SaveItem, TypeError> {
    let empty = Json::Object(Default::default());
    let json = if *json == Json::Null { &empty } else { json };
    let Some(fields) = Fields::of(json, "SetRequest", "state.SetRequest")? else {
        return Err(TypeError::value(json, "state.SetRequest"));
    };
    let mut metadata = fields.string_map("metadata")?;
    metadata.extend(query.clone());
    Ok(SaveItem {
        sent: None,
        key: fields.string("key")?.unwrap_or_default(),
        value: json_value(fields.get("value").unwrap_or(&Json::Null)),
        etag: fields.string("etag")?,
        options: options(&fields, "state.SetStateOption")?,
        metadata,
    })
}

fn json_value(json: &Json) -> Value {
    Value::Json(Bytes::from(json.to_text()))
}

fn options(fields: &Fields<'_>, go_type: &str) -> Result<Options, TypeError> {
    let options = match fields.get("options") {
        None => return Ok(Options::default()),
        Some(Json::Object(members)) => Json::Object(members.clone()),
        Some(other) => return Err(TypeError::field(other, fields.structure(), "options", go_type)),
    };
    let Some(options) = Fields::of(&options, "SetStateOption", go_type)? else { return Ok(Options::default()) };
    Ok(Options {
        concurrency: concurrency(options.string("concurrency")?.as_deref()),
        consistency: consistency(options.string("consistency")?.as_deref()),
    })
}

fn concurrency(word: Option<&str>) -> Concurrency {
    match word {
        None | Some("") => Concurrency::Unspecified,
        Some("first-write") => Concurrency::FirstWrite,
        Some("last-write") => Concurrency::LastWrite,
        Some(other) => Concurrency::Other(other.to_owned()),
    }
}

fn consistency(word: Option<&str>) -> Consistency {
    match word {
        None | Some("") => Consistency::Unspecified,
        Some("eventual") => Consistency::Eventual,
        Some("strong") => Consistency::Strong,
        Some(other) => Consistency::Other(other.to_owned()),
    }
}

pub async fn delete(mut call: Call) -> Answer {
    let (store, key) = (call.parameter(0), call.parameter(1));
    let etag = call.headers().get(IF_MATCH).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let options = Options {
        concurrency: concurrency(call.query("concurrency").as_deref()),
        consistency: consistency(call.query("consistency").as_deref()),
    };
    let item = DeleteItem { key, etag, options, metadata: call.metadata() };
    call.runtime.call(&call.context, DeleteState { store, item }).await?;
    Ok(respond::empty())
}

pub async fn bulk_get(mut call: Call) -> Answer {
    let store = call.parameter(0);
    call.runtime.state.require(&store)?;
    let body = call.bytes().await.map_err(|error| table::common::malformed(&error))?;
    let json = parse_first(&body).map_err(|error| table::common::malformed(&error.to_string()))?;
    let operation =
        bulk_request(store, &json, call.metadata()).map_err(|error| table::common::malformed(&error.to_string()))?;
    let items = call.runtime.call(&call.context, operation).await?;
    let mut out = String::from("[");
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let mut members = Map::new();
        members.insert("key".into(), item.key.into());
        let mut data = None;
        match item.result {
            Ok(found) => {
                data = found.data.filter(|data| !data.is_empty());
                if let Some(etag) = found.etag {
                    members.insert("etag".into(), etag.into());
                }
                if !found.metadata.is_empty() {
                    members.insert("metadata".into(), serde_json::json!(found.metadata));
                }
            }
            Err(error) => {
                members.insert("error".into(), error.into());
            }
        }
        append_item(&mut out, members, data);
    }
    out.push_str("]\n");
    Ok(respond::data(StatusCode::OK, out))
}

/// Writes an item's members with its data, which is JSON already; data that is none becomes a JSON string (daprd
/// sends an empty answer for it).
fn append_item(out: &mut String, members: Map<String, serde_json::Value>, data: Option<Bytes>) {
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&format!("\"{name}\":{value}"));
        if index == 0
            && let Some(data) = &data
        {
            out.push_str(",\"data\":");
            match serde_json::from_slice::<&RawValue>(data) {
                Ok(raw) => out.push_str(raw.get()),
                Err(_) => crate::json::escape_into(&String::from_utf8_lossy(data), out),
            }
        }
    }
    out.push('}');
}

fn bulk_request(store: String, json: &Json, query: Metadata) -> Result<GetBulkState, TypeError> {
    let Some(fields) = Fields::of(json, "BulkGetRequest", "http.BulkGetRequest")? else {
        return Ok(GetBulkState { store, keys: Vec::new(), parallelism: 0, metadata: query });
    };
    let mut metadata = fields.string_map("metadata")?;
    metadata.extend(query);
    Ok(GetBulkState {
        store,
        keys: fields.string_list("keys")?,
        parallelism: fields.int("parallelism")?.unwrap_or(0),
        metadata,
    })
}

pub async fn transaction(mut call: Call) -> Answer {
    let store = call.parameter(0);
    call.runtime.state.require_transactional(&store)?;
    let body = call.bytes().await.map_err(|error| table::common::malformed(&error))?;
    let json = parse_first(&body).map_err(|error| table::common::malformed(&error.to_string()))?;
    let query = call.metadata();
    let operation =
        transaction_request(store, &json, query).map_err(|error| table::common::malformed(&error.to_string()))?;
    call.runtime.call(&call.context, operation).await?;
    Ok(respond::empty())
}

fn transaction_request(store: String, json: &Json, query: Metadata) -> Result<ExecuteStateTransaction, TypeError> {
    const BODY: &str = "stateTransactionRequestBody";
    let Some(fields) = Fields::of(json, BODY, "http.stateTransactionRequestBody")? else {
        return Ok(ExecuteStateTransaction { store, operations: Vec::new(), metadata: query });
    };
    let operations = match fields.get("operations") {
        None => Vec::new(),
        Some(Json::Array(items)) => {
            items.iter().map(|item| transaction_op(item, &query)).collect::<Result<Vec<_>, _>>()?
        }
        Some(other) => {
            return Err(TypeError::field(other, BODY, "operations", "[]http.stateTransactionRequestBodyOperation"));
        }
    };
    let mut metadata = fields.string_map("metadata")?;
    metadata.extend(query);
    Ok(ExecuteStateTransaction { store, operations, metadata })
}

fn transaction_op(json: &Json, query: &Metadata) -> Result<TransactionOp, TypeError> {
    const OPERATION: &str = "stateTransactionRequestBodyOperation";
    let empty = Json::Object(Default::default());
    let Some(fields) = Fields::of(json, OPERATION, "http.stateTransactionRequestBodyOperation")? else {
        return Ok(TransactionOp::Unknown(String::new()));
    };
    let word = fields.string("operation")?.unwrap_or_default();
    let request = fields.get("request").unwrap_or(&empty);
    if !matches!(request, Json::Object(_)) {
        return Err(TypeError::no_map(request));
    }
    match word.as_str() {
        "upsert" => save_item(request, query).map(TransactionOp::Upsert),
        "delete" => {
            let item = save_item(request, query)?;
            let SaveItem { key, etag, options, metadata, .. } = item;
            Ok(TransactionOp::Delete(DeleteItem { key, etag, options, metadata }))
        }
        _ => Ok(TransactionOp::Unknown(word)),
    }
}

pub async fn query(mut call: Call) -> Answer {
    let store = call.parameter(0);
    let metadata = call.metadata();
    let query = call.read().await?;
    let reply = call.runtime.call(&call.context, QueryState { store, query, metadata }).await?;
    if reply.results.is_empty() {
        return Ok(respond::empty());
    }
    let mut out = String::from("{\"results\":[");
    for (index, item) in reply.results.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let mut members = Map::new();
        members.insert("key".into(), item.key.into());
        if let Some(etag) = item.etag {
            members.insert("etag".into(), etag.into());
        }
        if !item.error.is_empty() {
            members.insert("error".into(), item.error.into());
        }
        append_item(&mut out, members, Some(item.data));
    }
    out.push(']');
    if !reply.token.is_empty() {
        out.push_str(&format!(",\"token\":{}", serde_json::Value::from(reply.token)));
    }
    if !reply.metadata.is_empty() {
        out.push_str(&format!(",\"metadata\":{}", serde_json::json!(reply.metadata)));
    }
    out.push_str("}\n");
    Ok(respond::data(StatusCode::OK, out))
}
