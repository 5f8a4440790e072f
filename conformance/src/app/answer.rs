//! What an application answers: `/echo`, `/upload`, `/download`, `/events` and what sidecars ask for.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::server::Settings;
use super::{Checksum, Pattern};

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// Answers one request; an error ends the connection.
pub async fn answer(settings: Arc<Settings>, request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let path = request.uri().path().to_owned();
    Ok(match (request.method(), path.as_str()) {
        (_, "/echo") => {
            settings.calls.fetch_add(1, Ordering::Relaxed);
            if let Some(delay) = parameter(&query, "delay").and_then(|text| text.parse().ok()) {
                tokio::time::sleep(Duration::from_millis(delay)).await;
            }
            full(StatusCode::OK, request.into_body().collect().await?.to_bytes())
        }
        (&Method::POST, "/upload") => {
            let (mut body, mut checksum) = (request.into_body(), Checksum::default());
            while let Some(frame) = body.frame().await {
                if let Some(data) = frame?.data_ref() {
                    checksum.add(data);
                }
            }
            full(StatusCode::OK, checksum.text().into())
        }
        (_, "/download") => {
            let length = parameter(&query, "bytes").and_then(|text| text.parse().ok()).unwrap_or(0);
            let tells_length = parameter(&query, "chunked").is_none();
            Response::new(Pattern::new(length, tells_length).boxed())
        }
        (_, "/dapr/subscribe") => {
            let subscriptions = settings.subscriptions.iter();
            let list: Vec<Value> = subscriptions
                .map(|(pubsub, topic)| json!({ "pubsubname": pubsub, "topic": topic, "route": "/events" }))
                .collect();
            let mut answer = full(StatusCode::OK, Value::from(list).to_string().into());
            let json = http::HeaderValue::from_static("application/json");
            answer.headers_mut().insert(http::header::CONTENT_TYPE, json);
            answer
        }
        (&Method::POST, "/events") => {
            let body = request.into_body().collect().await?.to_bytes();
            if let Some(counted) = &settings.counted {
                counted.fetch_add(1, Ordering::Relaxed);
                return Ok(full(StatusCode::OK, Bytes::new()));
            }
            let event: Value = serde_json::from_slice(&body).unwrap_or_default();
            match event["data"]["number"].as_u64() {
                None => full(StatusCode::BAD_REQUEST, "the event has no number".into()),
                Some(number) => {
                    settings.events.receive(number);
                    tokio::time::sleep(settings.event_work).await;
                    settings.events.answer(number);
                    full(StatusCode::OK, Bytes::new())
                }
            }
        }
        _ => full(StatusCode::NOT_FOUND, Bytes::new()),
    })
}

fn full(status: StatusCode, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body).boxed());
    *answer.status_mut() = status;
    answer
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name)).map(|(_, value)| value)
}
