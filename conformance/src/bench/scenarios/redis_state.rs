//! Reading and writing 1 KB of state in a Redis, and transactions. The CPU is the sidecar's alone.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::subject::{Running, Subject};
use crate::load::Redis;

/// `GET /v1.0/state`.
pub struct Get;

impl Scenario for Get {
    fn name(&self) -> &'static str {
        "P5 state get, Redis, HTTP"
    }

    fn goal(&self) -> f64 {
        0.30
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        one(subject, Work::http1(Method::GET, "/v1.0/state/store/key", Bytes::new()))
    }
}

/// `POST /v1.0/state`.
pub struct Set;

impl Scenario for Set {
    fn name(&self) -> &'static str {
        "P5 state set, Redis, HTTP"
    }

    fn goal(&self) -> f64 {
        0.30
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        one(subject, set())
    }
}

/// `POST /v1.0/state/<store>/transaction`: two keys written, one deleted.
pub struct Transaction;

impl Scenario for Transaction {
    fn name(&self) -> &'static str {
        "P5 state transaction of 3, Redis, HTTP"
    }

    fn goal(&self) -> f64 {
        0.30
    }

    fn unit(&self) -> &'static str {
        "transaction"
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let upsert = |key| json!({ "operation": "upsert", "request": { "key": key, "value": "x".repeat(1024) } });
        let delete = json!({ "operation": "delete", "request": { "key": "third" } });
        let body = json!({ "operations": [upsert("first"), upsert("second"), delete] }).to_string();
        one(subject, Work::http1(Method::POST, "/v1.0/state/store/transaction", body.into()))
    }
}

fn set() -> Work {
    let body = json!([{ "key": "key", "value": "x".repeat(1024) }]).to_string();
    Work::http1(Method::POST, "/v1.0/state/store", body.into())
}

/// A sidecar with a Redis of its own that has the key. There is no control: nothing so small speaks to a Redis.
fn one(subject: &Subject, work: Work) -> Option<Running> {
    let builder = subject.sidecar("redis-state")?;
    let redis = Redis::start();
    let sidecar = builder.resource(redis.resource("state.redis", "store", &[])).start();
    let first = closed_loop::run(&set(), sidecar.http, Duration::from_millis(20));
    assert_eq!(first.errors, 0, "the key cannot be written: {:?}", first.first_error);
    let ids = vec![sidecar.id()];
    Some(Running {
        ids,
        drive: Box::new(move |time| {
            let _kept = (&redis, &sidecar);
            closed_loop::run(&work, sidecar.http, time)
        }),
    })
}
