//! An application calls another through two sidecars: 1 KB there and back, or a stream of messages.

use bytes::Bytes;
use http::{HeaderValue, Method};
use proto_dapr::common::InvokeRequest;
use proto_dapr::runtime::InvokeServiceRequest;

use super::Scenario;
use crate::bench::closed_loop::Work;
use crate::bench::control::stream;
use crate::bench::pair::{self, Pair, Traffic};
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
        Some(Pair::start(subject, Traffic::Http).running(http(subject), 1))
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
        Some(Pair::start(subject, Traffic::Grpc).running(grpc(subject), 1))
    }
}

/// A method of the application's own, which answers with a stream of messages of 1 KB.
pub struct Stream;

impl Scenario for Stream {
    fn name(&self) -> &'static str {
        "P3 gRPC server stream of 1000 x 1 KB, two sidecars"
    }

    fn goal(&self) -> f64 {
        0.25
    }

    fn unit(&self) -> &'static str {
        "message"
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let mut work = Work::grpc_encoded(stream::PATH, &[]);
        let callee = HeaderValue::try_from(subject.app_id("callee")).expect("an app id is a header's value");
        work.headers.insert("dapr-app-id", callee);
        let running = Pair::start(subject, Traffic::Grpc).running(work, stream::MESSAGES);
        Some(Running {
            ids: running.ids,
            drive: Box::new(move |time| {
                let mut counted = (running.drive)(time);
                let missing = counted.requests.saturating_sub(counted.messages);
                counted.fail(missing, || format!("{missing} messages are missing in streams that ended well"));
                counted
            }),
        })
    }
}

/// A POST of 1 KB that is answered with 1 KB.
pub fn http(subject: &Subject) -> Work {
    Work::http1(Method::POST, pair::path(subject, "echo"), Bytes::from(vec![b'x'; 1024]))
}

/// The same with gRPC.
pub fn grpc(subject: &Subject) -> Work {
    let request = InvokeRequest {
        method: "echo".to_owned(),
        data: Some(prost_types::Any { type_url: String::new(), value: vec![b'x'; 1024] }),
        content_type: "text/plain".to_owned(),
        ..InvokeRequest::default()
    };
    let message = InvokeServiceRequest { id: subject.app_id("callee"), message: Some(request) };
    Work::grpc("/dapr.proto.runtime.v1.Dapr/InvokeService", &message)
}
