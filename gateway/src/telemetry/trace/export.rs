//! Finished spans on their way out: one task collects them and hands batches to every sink.

#[cfg_attr(feature = "trace-export", path = "export/collectors.rs")]
#[cfg_attr(not(feature = "trace-export"), path = "export/no_collectors.rs")]
mod collectors;
#[cfg(feature = "trace-export")]
mod otlp;
mod resource;
mod stdout;
#[cfg(feature = "trace-export")]
mod zipkin;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

pub use self::resource::Resource;
use super::span::Finished;
use crate::config::configuration::TracingSpec;

/// Log scope of tracing.
const SCOPE: &str = "dapr.runtime.trace";
/// Spans that wait; further ones are lost. The numbers are those of OpenTelemetry's batch processor.
const QUEUE: usize = 2_048;
const BATCH: usize = 512;
const INTERVAL: Duration = Duration::from_secs(5);
/// How long one export may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A tracing configuration that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    #[error("invalid protocol {0} provided for Otel endpoint")]
    Protocol(String),
    #[error("invalid collector URL {url:?}: {reason}")]
    ZipkinUrl { url: String, reason: String },
    #[error("the OTLP exporter for {endpoint} could not be made: {reason}; see spec.tracing.otel")]
    Otlp { endpoint: String, reason: String },
    #[error("no HTTP client for tracing: {0}")]
    Client(String),
    #[error("this build cannot send spans to {endpoint} ({setting}): use one with the feature `trace-export`")]
    Absent { setting: &'static str, endpoint: String },
}

/// A place where spans go.
#[async_trait]
pub trait Sink: Send + Sync {
    /// The part of `spec.tracing` that it is configured in.
    fn setting(&self) -> &'static str;

    async fn send(&self, spans: &[Finished]) -> Result<(), String>;
}

/// The sinks that `spec` names, in daprd's order.
pub fn sinks(spec: &TracingSpec, resource: Resource, runtime: &Handle) -> Result<Vec<Box<dyn Sink>>, ExporterError> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if spec.stdout {
        sinks.push(Box::new(stdout::Stdout));
    }
    sinks.extend(collectors::collectors(spec, &resource, runtime)?);
    Ok(sinks)
}

/// The way to the exporting task.
#[derive(Clone)]
pub struct Exporter {
    queue: mpsc::Sender<Message>,
    lost: Arc<AtomicBool>,
}

enum Message {
    Span(Box<Finished>),
    Close(oneshot::Sender<()>),
}

impl Exporter {
    /// Starts the task on `runtime`. It ends when it is closed, or when every `Exporter` is gone.
    pub fn start(sinks: Vec<Box<dyn Sink>>, runtime: &Handle) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        runtime.spawn(run(sinks, receiver));
        Self { queue, lost: Arc::default() }
    }

    /// Never waits: when the queue is full, the span is lost.
    pub fn export(&self, span: Finished) {
        let full =
            matches!(self.queue.try_send(Message::Span(Box::new(span))), Err(mpsc::error::TrySendError::Full(_)));
        if full && !self.lost.swap(true, Ordering::Relaxed) {
            warn!(target: SCOPE, "spans are lost: they end faster than the exporters of spec.tracing take them");
        }
    }

    /// Exports what is queued, for at most `within`, and ends the task.
    pub async fn close(&self, within: Duration) {
        let (done, ended) = oneshot::channel();
        let flush = async {
            if self.queue.send(Message::Close(done)).await.is_ok() {
                // An error means that the task has ended already.
                let _ = ended.await;
            }
        };
        if tokio::time::timeout(within, flush).await.is_err() {
            debug!(target: SCOPE, "the last spans could not be exported in time");
        }
    }
}

async fn run(sinks: Vec<Box<dyn Sink>>, mut queue: mpsc::Receiver<Message>) {
    let mut batch = Vec::new();
    let mut due = tokio::time::interval(INTERVAL);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failed = false;
    loop {
        tokio::select! {
            message = queue.recv() => match message {
                Some(Message::Span(span)) => {
                    batch.push(*span);
                    if batch.len() >= BATCH {
                        flush(&sinks, &mut batch, &mut failed).await;
                    }
                }
                Some(Message::Close(done)) => {
                    flush(&sinks, &mut batch, &mut failed).await;
                    // The one who asked may have stopped waiting.
                    let _ = done.send(());
                    return;
                }
                None => return flush(&sinks, &mut batch, &mut failed).await,
            },
            _ = due.tick() => flush(&sinks, &mut batch, &mut failed).await,
        }
    }
}

async fn flush(sinks: &[Box<dyn Sink>], batch: &mut Vec<Finished>, failed: &mut bool) {
    if batch.is_empty() {
        return;
    }
    for sink in sinks {
        let name = sink.setting();
        let sent = tokio::time::timeout(TIMEOUT, sink.send(batch)).await;
        let reason = match sent {
            Ok(Ok(())) => continue,
            Ok(Err(reason)) => reason,
            Err(_) => "no answer in time".to_owned(),
        };
        let count = batch.len();
        // An absent collector must not fill the log.
        if std::mem::replace(failed, true) {
            debug!(target: SCOPE, "{count} spans could not be exported to {name}: {reason}");
        } else {
            warn!(
                target: SCOPE,
                "{count} spans could not be exported to {name}: {reason}; see spec.tracing.{name} (further failures are \
                 logged at level debug)"
            );
        }
    }
    batch.clear();
}

#[cfg(all(test, feature = "trace-export"))]
mod tests {
    use std::convert::Infallible;
    use std::net::Ipv4Addr;

    use bytes::Bytes;
    use http::{HeaderMap, Request, Response};
    use http_body_util::combinators::BoxBody;
    use http_body_util::{BodyExt, Full, StreamBody};
    use hyper::body::{Frame, Incoming};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::Environment;
    use crate::config::configuration::tracing::{OtelHeader, OtelSpec, ZipkinSpec};
    use crate::telemetry::trace::{SpanKind, Status, Tracer};

    struct Received {
        path: String,
        headers: HeaderMap,
        body: String,
    }

    /// A collector for HTTP and gRPC on a free port, and what it receives.
    async fn collector() -> (String, mpsc::UnboundedReceiver<Received>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = hyper::service::service_fn(move |request| answer(request, sender.clone()));
                tokio::spawn(async move {
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    server.serve_connection(TokioIo::new(stream), service).await
                });
            }
        });
        (address, receiver)
    }

    async fn answer(
        request: Request<Incoming>,
        sender: mpsc::UnboundedSender<Received>,
    ) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = String::from_utf8_lossy(&body.collect().await.unwrap().to_bytes()).into_owned();
        let is_grpc = head.headers.get("content-type").is_some_and(|kind| kind == "application/grpc");
        sender.send(Received { path: head.uri.path().to_owned(), headers: head.headers, body }).unwrap();
        if !is_grpc {
            return Ok(Response::new(Full::default().boxed()));
        }
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let frames = [Frame::data(Bytes::from_static(&[0; 5])), Frame::trailers(trailers)].map(Ok);
        let body = StreamBody::new(futures::stream::iter(frames)).boxed();
        Ok(Response::builder().header("content-type", "application/grpc").body(body).unwrap())
    }

    /// Exports one span and gives what the collector got.
    async fn export(spec: TracingSpec, receiver: &mut mpsc::UnboundedReceiver<Received>) -> Received {
        // What every main does first.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let environment = Environment::new([("OTEL_RESOURCE_ATTRIBUTES", "zone=eu")]);
        let tracer = Tracer::start(&spec, "shop", &environment, &Handle::current()).unwrap();
        let mut span = tracer.span("first name", SpanKind::Client, None);
        assert!(span.is_recording());
        span.set_name("/v1.0/state/mem");
        span.set_attribute("db.name", "mem");
        span.set_status(Status::from_http(500));
        span.end();
        tracer.close(Duration::from_secs(5)).await;
        receiver.try_recv().expect("nothing has reached the collector")
    }

    fn otel(protocol: &str, endpoint: String) -> TracingSpec {
        let headers = vec![OtelHeader { name: "Tenant".into(), value: "a=b".into() }];
        let otel = OtelSpec {
            protocol: protocol.into(),
            endpoint_address: endpoint,
            is_secure: Some(false),
            headers,
            timeout: None,
        };
        TracingSpec { sampling_rate: "1".into(), otel, ..TracingSpec::default() }
    }

    #[tokio::test]
    async fn zipkin_gets_json() {
        let (address, mut receiver) = collector().await;
        let zipkin = ZipkinSpec { endpoint_address: format!("http://{address}/api/v2/spans") };
        let spec = TracingSpec { sampling_rate: "1".into(), zipkin, ..TracingSpec::default() };
        let received = export(spec, &mut receiver).await;
        assert_eq!(received.path, "/api/v2/spans");
        let spans: serde_json::Value = serde_json::from_str(&received.body).unwrap();
        assert_eq!(spans[0]["name"], "/v1.0/state/mem");
        assert_eq!(spans[0]["localEndpoint"]["serviceName"], "shop");
    }

    #[tokio::test]
    async fn otlp_goes_over_http() {
        let (address, mut receiver) = collector().await;
        let received = export(otel("http", address), &mut receiver).await;
        assert_eq!(received.path, "/v1/traces");
        assert_eq!(received.headers["tenant"], "a=b");
        assert_eq!(received.headers["content-type"], "application/x-protobuf");
        for text in ["service.name", "shop", "zone", "/v1.0/state/mem", "db.name", "Code(500): Internal Server Error"] {
            assert!(received.body.contains(text), "{text} is not in {:?}", received.body);
        }
    }

    #[tokio::test]
    async fn otlp_goes_over_grpc() {
        let (address, mut receiver) = collector().await;
        let received = export(otel("grpc", address), &mut receiver).await;
        assert_eq!(received.path, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
        assert_eq!(received.headers["tenant"], "a=b");
        assert!(received.body.contains("/v1.0/state/mem"), "{:?}", received.body);
    }

    #[tokio::test]
    async fn an_absent_collector_does_not_hold_up_the_end() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let zipkin = ZipkinSpec { endpoint_address: format!("http://{}/", listener.local_addr().unwrap()) };
        let spec = TracingSpec { sampling_rate: "1".into(), zipkin, ..TracingSpec::default() };
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tracer = Tracer::start(&spec, "shop", &Environment::default(), &Handle::current()).unwrap();
        tracer.span("s", SpanKind::Client, None).end();
        let begun = std::time::Instant::now();
        tracer.close(Duration::from_millis(100)).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn unknown_protocols_end_the_start() {
        let spec = otel("carrier-pigeon", "x:1".into());
        let error = Tracer::start(&spec, "shop", &Environment::default(), &Handle::current()).unwrap_err();
        assert_eq!(error.to_string(), "invalid protocol carrier-pigeon provided for Otel endpoint");
    }
}
