//! Messages of 1 KB through a Redis to an application, HTTP on both sides. The CPU is the sidecar's alone.

use http::Method;
use serde_json::json;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::receiver::Receiver;
use crate::bench::subject::{Running, Subject};
use crate::load::Redis;

/// One message a call.
pub struct Single;

impl Scenario for Single {
    fn name(&self) -> &'static str {
        "P8 publish to delivery, Redis, HTTP"
    }

    fn goal(&self) -> f64 {
        0.30
    }

    fn unit(&self) -> &'static str {
        "message"
    }

    /// An application that publishes and receives, at a sidecar with a Redis of its own. A block ends when what it
    /// published has been received; what the Redis keeps of it is removed, so that no block pays for those before it.
    fn start(&self, subject: &Subject) -> Option<Running> {
        let builder = subject.sidecar("redis-publish")?;
        let body = json!({ "number": 1, "text": "x".repeat(1000) }).to_string();
        let work = Work::http1(Method::POST, "/v1.0/publish/broker/topic", body.into());
        let app = Receiver::start("broker", "topic").expect("a free port");
        let redis = Redis::start();
        let broker = redis.resource("pubsub.redis", "broker", &[]);
        let sidecar = builder.resource(broker).app(app.port, "http").start();
        let ids = vec![sidecar.id()];
        Some(Running {
            ids,
            drive: Box::new(move |time| {
                let _kept = &sidecar;
                let mut counted = app.count(1, || closed_loop::run(&work, sidecar.http, time));
                if let Err(error) = redis.ask(&["XTRIM", "topic", "MAXLEN", "0"]) {
                    counted.fail(1, || error);
                }
                counted
            }),
        })
    }
}
