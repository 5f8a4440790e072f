//! Health, metadata and shutdown over HTTP.

use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use super::{Call, respond};
use crate::blocks::sidecar::{AppConnection, GetMetadata, RUNTIME_VERSION, SetMetadata, SidecarMetadata};
use crate::body::Body;
use crate::error::ApiError;
use crate::loaded::SubscriptionInfo;

type Answer = Result<Response<Body>, ApiError>;

pub fn health(call: Call) -> Answer {
    call.runtime.sidecar.health(call.query("appid").as_deref())?;
    Ok(respond::empty())
}

pub fn outbound_health(call: Call) -> Answer {
    call.runtime.sidecar.outbound_health()?;
    Ok(respond::empty())
}

pub fn shutdown(call: Call) -> Answer {
    let forced = call
        .headers()
        .get("dapr-force-shutdown")
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    call.runtime.sidecar.shutdown(forced);
    Ok(respond::empty())
}

pub async fn set_metadata(mut call: Call) -> Answer {
    let body = call.read().await?;
    let operation = SetMetadata { key: call.parameter(0), value: String::from_utf8_lossy(&body).into_owned() };
    call.runtime.call(&call.context, operation).await?;
    Ok(respond::empty())
}

pub async fn metadata(call: Call) -> Answer {
    let metadata = call.runtime.call(&call.context, GetMetadata).await?;
    Ok(respond::json_line(StatusCode::OK, &document(metadata)))
}

fn document(metadata: SidecarMetadata) -> Value {
    let mut out = Map::new();
    out.insert("id".into(), metadata.app_id.into());
    out.insert("runtimeVersion".into(), RUNTIME_VERSION.into());
    list(&mut out, "enabledFeatures", metadata.features);
    let components: Vec<Value> = metadata
        .components
        .into_iter()
        .map(|component| {
            let mut item = Map::new();
            item.insert("name".into(), component.name.into());
            item.insert("type".into(), component.kind_and_name.into());
            text(&mut item, "version", component.version);
            list(&mut item, "capabilities", component.capabilities);
            Value::Object(item)
        })
        .collect();
    list(&mut out, "components", components);
    out.insert("extended".into(), json!(metadata.extended));
    list(&mut out, "subscriptions", metadata.subscriptions.into_iter().map(subscription).collect());
    list(&mut out, "httpEndpoints", named(metadata.http_endpoints));
    out.insert("appConnectionProperties".into(), app(metadata.app));
    out.insert(
        "actorRuntime".into(),
        json!({"runtimeStatus": "DISABLED", "hostReady": false, "placement": "placement: disconnected"}),
    );
    list(&mut out, "resiliencies", named(metadata.resiliencies));
    Value::Object(out)
}

/// Adds a list unless it is empty.
fn list<T: Into<Value>>(out: &mut Map<String, Value>, name: &str, items: Vec<T>) {
    if !items.is_empty() {
        out.insert(name.into(), Value::Array(items.into_iter().map(Into::into).collect()));
    }
}

/// Adds a text unless it is empty.
fn text(out: &mut Map<String, Value>, name: &str, value: String) {
    if !value.is_empty() {
        out.insert(name.into(), value.into());
    }
}

fn named(names: Vec<String>) -> Vec<Value> {
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

fn subscription(subscription: SubscriptionInfo) -> Value {
    let mut item = Map::new();
    item.insert("pubsubname".into(), subscription.pubsub.into());
    item.insert("topic".into(), subscription.topic.into());
    if !subscription.metadata.is_empty() {
        item.insert("metadata".into(), json!(subscription.metadata));
    }
    let rules: Vec<Value> = subscription
        .rules
        .into_iter()
        .map(|(condition, path)| {
            let mut rule = Map::new();
            text(&mut rule, "match", condition);
            text(&mut rule, "path", path);
            Value::Object(rule)
        })
        .collect();
    list(&mut item, "rules", rules);
    item.insert("deadLetterTopic".into(), subscription.dead_letter_topic.into());
    item.insert("type".into(), subscription.source.name().into());
    Value::Object(item)
}

fn app(app: AppConnection) -> Value {
    let mut out = Map::new();
    if app.port > 0 {
        out.insert("port".into(), app.port.into());
    }
    text(&mut out, "protocol", app.protocol);
    text(&mut out, "channelAddress", app.channel_address);
    if app.max_concurrency > 0 {
        out.insert("maxConcurrency".into(), app.max_concurrency.into());
    }
    if let Some(health) = app.health {
        let mut item = Map::new();
        text(&mut item, "healthCheckPath", health.path);
        item.insert("healthProbeInterval".into(), health.interval.into());
        item.insert("healthProbeTimeout".into(), health.timeout.into());
        item.insert("healthThreshold".into(), health.threshold.into());
        out.insert("health".into(), Value::Object(item));
    }
    Value::Object(out)
}
