//! Messages of 1 KB through the in-memory broker to an application, all over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::Scenario;
use crate::app::{App, Settings};
use crate::bench::closed_loop::{self, Work};
use crate::bench::subject::{Running, Subject};

const BROKER: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: broker }
spec: { type: pubsub.in-memory, version: v1 }
";
/// Messages of one bulk publish.
const BULK: u64 = 100;

/// One message a call.
pub struct Single;

impl Scenario for Single {
    fn name(&self) -> &'static str {
        "P6 publish to delivery, HTTP"
    }

    fn goal(&self) -> f64 {
        0.12
    }

    fn unit(&self) -> &'static str {
        "message"
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let body = json!({ "number": 1, "text": "x".repeat(1000) }).to_string();
        delivering(subject, Work::http1(Method::POST, "/v1.0/publish/broker/topic", body.into()), 1)
    }
}

/// A hundred a call.
pub struct Bulk;

impl Scenario for Bulk {
    fn name(&self) -> &'static str {
        "P7 bulk publish of 100 to delivery, HTTP"
    }

    fn goal(&self) -> f64 {
        0.10
    }

    fn unit(&self) -> &'static str {
        "message"
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let entries: Vec<_> = (0..BULK)
            .map(|entry| {
                let event = json!({ "number": entry, "text": "x".repeat(1000) });
                json!({ "entryId": entry.to_string(), "event": event, "contentType": "application/json" })
            })
            .collect();
        let body = Bytes::from(json!(entries).to_string());
        let mut work = Work::http1(Method::POST, "/v1.0-alpha1/publish/bulk/broker/topic", body);
        work.connections = 2;
        delivering(subject, work, BULK)
    }
}

/// A publishing and a receiving application at one sidecar. A block ends when what it published has been received.
fn delivering(subject: &Subject, work: Work, each: u64) -> Option<Running> {
    let builder = subject.sidecar("publish")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let received = Arc::new(AtomicU64::new(0));
    let settings = Settings {
        subscriptions: vec![("broker".to_owned(), "topic".to_owned())],
        counted: Some(received.clone()),
        ..Settings::default()
    };
    let app = App::start(runtime.handle(), settings).expect("a free port");
    let sidecar = builder.resource(BROKER).app(app.port, "http").start();
    let ids = vec![sidecar.id()];
    Some(Running {
        ids,
        drive: Box::new(move |time| {
            let _kept = (&app, &runtime, &sidecar);
            let before = received.load(Ordering::Relaxed);
            let mut counted = closed_loop::run(&work, sidecar.http, time);
            counted.requests *= each;
            let published = counted.requests;
            let deadline = Instant::now() + Duration::from_secs(10);
            while received.load(Ordering::Relaxed) - before < published && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            let missing = published.saturating_sub(received.load(Ordering::Relaxed) - before);
            if missing > 0 {
                counted.errors += missing;
                counted.first_error.get_or_insert_with(|| format!("{missing} messages were not delivered in 10 s"));
            }
            counted
        }),
    })
}
