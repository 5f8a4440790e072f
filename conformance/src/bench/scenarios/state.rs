//! Reading and writing 1 KB of state in memory.

use bytes::Bytes;
use http::Method;
use proto_dapr::runtime::GetStateRequest;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::control::{Control, Kind};
use crate::bench::subject::{Running, Subject};

const STORE: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: store }
spec: { type: state.in-memory, version: v1 }
";

/// `GET /v1.0/state`.
pub struct GetHttp;

impl Scenario for GetHttp {
    fn name(&self) -> &'static str {
        "P4 state get, HTTP"
    }

    fn goal(&self) -> f64 {
        0.25
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        one(subject, Work::http1(Method::GET, "/v1.0/state/store/key", Bytes::new()))
    }
}

/// `POST /v1.0/state`.
pub struct SetHttp;

impl Scenario for SetHttp {
    fn name(&self) -> &'static str {
        "P4 state set, HTTP"
    }

    fn goal(&self) -> f64 {
        0.20
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        one(subject, set())
    }
}

/// `GetState`.
pub struct GetGrpc;

impl Scenario for GetGrpc {
    fn name(&self) -> &'static str {
        "P4 state get, gRPC"
    }

    fn goal(&self) -> f64 {
        0.30
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let message =
            GetStateRequest { store_name: "store".to_owned(), key: "key".to_owned(), ..GetStateRequest::default() };
        one(subject, Work::grpc("/dapr.proto.runtime.v1.Dapr/GetState", &message))
    }
}

fn set() -> Work {
    let body = format!(r#"[{{"key":"key","value":"{}"}}]"#, "x".repeat(1024));
    Work::http1(Method::POST, "/v1.0/state/store", body.into())
}

/// One sidecar with a store that has the key; for the control a responder, raw or made with tonic.
fn one(subject: &Subject, work: Work) -> Option<Running> {
    let Some(builder) = subject.sidecar("state") else {
        let kind = if work.streams > 0 { Kind::TonicEcho } else { Kind::Respond };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let control = Control::start(kind, 0, &folder.path().join("log")).expect("this program starts again");
        let ids = vec![control.id()];
        return Some(Running {
            ids,
            drive: Box::new(move |time| {
                let _kept = (&control, &folder);
                closed_loop::run(&work, control.port, time)
            }),
        });
    };
    let sidecar = builder.resource(STORE).start();
    let first = closed_loop::run(&Work { connections: 1, ..set() }, sidecar.http, std::time::Duration::from_millis(20));
    assert_eq!(first.errors, 0, "the key cannot be written: {:?}", first.first_error);
    let port = if work.streams > 0 { sidecar.grpc } else { sidecar.http };
    let ids = vec![sidecar.id()];
    Some(Running {
        ids,
        drive: Box::new(move |time| {
            let _kept = &sidecar;
            closed_loop::run(&work, port, time)
        }),
    })
}
