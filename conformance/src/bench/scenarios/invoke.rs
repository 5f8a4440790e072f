//! An application calls another through two sidecars: 1 KB there and back.

use bytes::Bytes;
use http::Method;
use proto_dapr::common::InvokeRequest;
use proto_dapr::runtime::InvokeServiceRequest;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::control::{Control, Kind};
use crate::bench::subject::{Running, Subject};

/// HTTP all the way.
pub struct Http;

impl Scenario for Http {
    fn name(&self) -> &'static str {
        "P1 HTTP invoke, two sidecars"
    }

    fn goal(&self) -> f64 {
        0.15
    }

    fn goal_to_control(&self) -> Option<f64> {
        Some(1.35)
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        pair(subject, Kind::Respond, "http", |callee| {
            Work::http1(Method::POST, format!("/v1.0/invoke/{callee}/method/echo"), Bytes::from(vec![b'x'; 1024]))
        })
    }
}

/// `InvokeService`, to an application that speaks gRPC.
pub struct Grpc;

impl Scenario for Grpc {
    fn name(&self) -> &'static str {
        "P3 gRPC InvokeService, two sidecars"
    }

    fn goal(&self) -> f64 {
        0.15
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        pair(subject, Kind::RespondGrpc, "grpc", |callee| {
            let request = InvokeRequest {
                method: "echo".to_owned(),
                data: Some(prost_types::Any { type_url: String::new(), value: vec![b'x'; 1024] }),
                content_type: "text/plain".to_owned(),
                ..InvokeRequest::default()
            };
            let message = InvokeServiceRequest { id: callee.to_owned(), message: Some(request) };
            Work::grpc("/dapr.proto.runtime.v1.Dapr/InvokeService", &message)
        })
    }
}

/// An application, its sidecar, and a caller's sidecar; for the control two relays.
fn pair(subject: &Subject, app: Kind, protocol: &str, work: impl Fn(&str) -> Work) -> Option<Running> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = Control::start(app, 0, &folder.path().join("app")).expect("this program starts again");
    let work = work(&subject.app_id("callee"));
    let Some(callee) = subject.sidecar("callee") else {
        let last = if protocol == "grpc" { Kind::RelayHttp2 } else { Kind::Relay };
        let callee = Control::start(last, app.port, &folder.path().join("b")).expect("this program starts again");
        let caller = Control::start(Kind::RelayHttp2, callee.port, &folder.path().join("a"));
        let caller = caller.expect("this program starts again");
        let ids = vec![callee.id(), caller.id()];
        return Some(Running {
            ids,
            drive: Box::new(move |time| {
                let _kept = (&app, &callee, &caller, &folder);
                closed_loop::run(&work, caller.port, time)
            }),
        });
    };
    let callee = callee.app(app.port, protocol).start();
    let caller = subject.sidecar("caller")?.start();
    let port = if protocol == "grpc" { caller.grpc } else { caller.http };
    let ids = vec![callee.id(), caller.id()];
    Some(Running {
        ids,
        drive: Box::new(move |time| {
            let _kept = (&app, &callee, &caller, &folder);
            closed_loop::run(&work, port, time)
        }),
    })
}
