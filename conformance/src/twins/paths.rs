//! The four hottest paths, each set up around sidecars that are started in any way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use proto_dapr::runtime::GetStateRequest;
use tokio::runtime::{Builder, Runtime};

use crate::app::{App, Settings};
use crate::bench::generator::{self, Pace, Plan, Target, Work};
use crate::target::{Builder as SidecarBuilder, Sidecar};

const STORE: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: store }
spec: { type: state.in-memory, version: v1 }
";
const BROKER: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: broker }
spec: { type: pubsub.in-memory, version: v1 }
";
/// How long requests may take together: a program under valgrind is 50 times slower.
const PATIENCE: Duration = Duration::from_secs(120);

/// What requests do all day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HotPath {
    /// An application calls another through two sidecars: 1 KB there and back over HTTP. Both sidecars count.
    InvokeHttp,
    /// `GET /v1.0/state`, 1 KB from memory.
    StateGetHttp,
    /// The same as `GetState`.
    StateGetGrpc,
    /// 1 KB published over HTTP and delivered to an application.
    PublishHttp,
}

/// A path that is set up.
pub struct Running<S> {
    /// Whose cost is counted.
    pub sidecars: Vec<S>,
    work: Work,
    port: u16,
    received: Arc<AtomicU64>,
    delivers: bool,
    _app: App,
    _runtime: Runtime,
}

impl HotPath {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::InvokeHttp, Self::StateGetHttp, Self::StateGetGrpc, Self::PublishHttp];

    /// As in the file of bounds.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvokeHttp => "HTTP invoke, two sidecars",
            Self::StateGetHttp => "state get, HTTP",
            Self::StateGetGrpc => "state get, gRPC",
            Self::PublishHttp => "publish to delivery, HTTP",
        }
    }

    /// Sets it up for one request at a time: with more, it depends on the moment how many are met at once. `start` starts
    /// a sidecar, waits until it is ready, and tells its ports of HTTP and gRPC; `on_thread` runs at the beginning of each
    /// thread of the application.
    ///
    /// # Panics
    /// Something does not start, or the first requests fail.
    pub fn start<S>(self, mut start: impl FnMut(SidecarBuilder) -> (u16, u16, S), on_thread: fn()) -> Running<S> {
        let runtime = Builder::new_multi_thread().worker_threads(1).on_thread_start(on_thread).enable_all().build();
        let runtime = runtime.expect("a runtime can be made");
        let received = Arc::new(AtomicU64::new(0));
        let delivers = self == Self::PublishHttp;
        let subscription = ("broker".to_owned(), "topic".to_owned());
        let settings = Settings {
            subscriptions: if delivers { vec![subscription] } else { Vec::new() },
            counted: Some(received.clone()),
            ..Settings::default()
        };
        let app = App::start(runtime.handle(), settings).expect("a free port");
        // As in production: lines of level info, and nobody finds another test's.
        let id = |role: &str| format!("twin-{role}-{}-{}", std::process::id(), app.port);
        let builder = |role: &str| Sidecar::builder(&id(role)).argument("--log-level").argument("info");
        let mut sidecars = Vec::new();
        let mut add = |builder| {
            let (http, grpc, sidecar) = start(builder);
            sidecars.push(sidecar);
            (http, grpc)
        };
        let text = "x".repeat(1024);
        let (port, mut work) = match self {
            Self::InvokeHttp => {
                add(builder("callee").app(app.port, "http"));
                let (http, _) = add(builder("caller"));
                let path = format!("/v1.0/invoke/{}/method/echo", id("callee"));
                (http, Work::http1(Method::POST, path, text.into()))
            }
            Self::StateGetHttp | Self::StateGetGrpc => {
                let (http, grpc) = add(builder("state").resource(STORE));
                let body = format!(r#"[{{"key":"key","value":"{text}"}}]"#);
                ask(&Work { connections: 1, ..Work::http1(Method::POST, "/v1.0/state/store", body.into()) }, http, 1);
                let message = GetStateRequest {
                    store_name: "store".to_owned(),
                    key: "key".to_owned(),
                    ..GetStateRequest::default()
                };
                if self == Self::StateGetHttp {
                    (http, Work::http1(Method::GET, "/v1.0/state/store/key", Bytes::new()))
                } else {
                    (grpc, Work::grpc("/dapr.proto.runtime.v1.Dapr/GetState", &message))
                }
            }
            Self::PublishHttp => {
                let (http, _) = add(builder("publish").resource(BROKER).app(app.port, "http"));
                let body = format!(r#"{{"number":1,"text":"{text}"}}"#);
                (http, Work::http1(Method::POST, "/v1.0/publish/broker/topic", body.into()))
            }
        };
        (work.connections, work.streams) = (1, work.streams.min(1));
        Running { sidecars, work, port, received, delivers, _app: app, _runtime: runtime }
    }
}

impl<S> Running<S> {
    /// Makes exactly so many requests, and waits until what they set off has come.
    ///
    /// # Panics
    /// One of them fails.
    pub fn drive(&self, requests: u64) {
        let before = self.received.load(Ordering::Relaxed);
        ask(&self.work, self.port, requests);
        let deadline = Instant::now() + PATIENCE;
        while self.delivers && self.received.load(Ordering::Relaxed) - before < requests {
            assert!(Instant::now() < deadline, "messages were not delivered in {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn ask(work: &Work, port: u16, requests: u64) {
    let plan = Plan { pace: Pace::Closed, duration: PATIENCE, count: Some(requests) };
    let counted = generator::run(work, &Target::port(port), &plan);
    assert_eq!((counted.requests, counted.errors), (requests, 0), "{}: {:?}", work.path, counted.first_error);
}
