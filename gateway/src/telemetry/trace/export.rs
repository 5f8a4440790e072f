//! Finished spans on their way out: one task collects them and hands batches to every sink.

mod otlp;
mod resource;
mod stdout;
mod zipkin;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

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
    Client(#[from] reqwest::Error),
}

/// A place where spans go.
pub enum Sink {
    Stdout,
    Zipkin(zipkin::Zipkin),
    Otlp(Box<otlp::Otlp>),
}

/// The sinks that `spec` names, in daprd's order.
pub fn sinks(spec: &TracingSpec, resource: Resource, runtime: &Handle) -> Result<Vec<Sink>, ExporterError> {
    let mut sinks = Vec::new();
    if spec.stdout {
        sinks.push(Sink::Stdout);
    }
    if !spec.zipkin.endpoint_address.is_empty() {
        sinks.push(Sink::Zipkin(zipkin::Zipkin::new(&spec.zipkin.endpoint_address, &resource)?));
    }
    if !spec.otel.endpoint_address.is_empty() && !spec.otel.protocol.is_empty() {
        // Connections belong to the runtime that is entered when they are made.
        let _entered = runtime.enter();
        sinks.push(Sink::Otlp(Box::new(otlp::Otlp::new(&spec.otel, &resource)?)));
    }
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
    pub fn start(sinks: Vec<Sink>, runtime: &Handle) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        runtime.spawn(run(sinks, receiver));
        Self { queue, lost: Arc::default() }
    }

    /// Never waits: when the queue is full, the span is lost.
    pub fn export(&self, span: Finished) {
        let full = matches!(
            self.queue.try_send(Message::Span(Box::new(span))),
            Err(mpsc::error::TrySendError::Full(_))
        );
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

async fn run(sinks: Vec<Sink>, mut queue: mpsc::Receiver<Message>) {
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

async fn flush(sinks: &[Sink], batch: &mut Vec<Finished>, failed: &mut bool) {
    if batch.is_empty() {
        return;
    }
    for sink in sinks {
        let (name, sent) = match sink {
            Sink::Stdout => ("stdout", Ok(Ok(stdout::write(batch)))),
            Sink::Zipkin(zipkin) => ("zipkin", tokio::time::timeout(TIMEOUT, zipkin.send(batch)).await),
            Sink::Otlp(otlp) => ("otel", tokio::time::timeout(TIMEOUT, otlp.send(batch)).await),
        };
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
