//! Messages of 1 KB through the in-memory broker to an application, all over HTTP.

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::control::{Control, Kind};
use crate::bench::receiver::Receiver;
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

/// A publishing and a receiving application at one sidecar. A block ends when what it published has been received. The
/// control of single messages is one hop, which sends and receives as often.
fn delivering(subject: &Subject, work: Work, each: u64) -> Option<Running> {
    let app = Receiver::start("broker", "topic").expect("a free port");
    let Some(builder) = subject.sidecar("publish") else {
        if each > 1 {
            return None;
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let relay =
            Control::start(Kind::Relay, app.port, &folder.path().join("log")).expect("this program starts again");
        let work = Work { path: "/events".to_owned(), ..work };
        let ids = vec![relay.id()];
        return Some(Running {
            ids,
            drive: Box::new(move |time| {
                let _kept = (&folder, &relay);
                app.count(each, || closed_loop::run(&work, relay.port, time))
            }),
        });
    };
    let sidecar = builder.resource(BROKER).app(app.port, "http").start();
    let ids = vec![sidecar.id()];
    Some(Running {
        ids,
        drive: Box::new(move |time| {
            let _kept = &sidecar;
            app.count(each, || closed_loop::run(&work, sidecar.http, time))
        }),
    })
}
