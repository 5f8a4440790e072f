//! Health of the application: a gate for calls, and the probes that open and close it (as daprd 1.18).

use std::time::{Duration, Instant};

use http::{Method, Request};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::AppChannel;
use crate::body::{self, Body};

const SCOPE: &str = "dapr.apphealth";

/// The most of a probe's answer that is read, to use the connection again.
const MAX_ANSWER: usize = 64 * 1024;

/// How the application is probed.
#[derive(Debug, Clone)]
pub struct ProbeSettings {
    /// Path of HTTP applications, with its leading slash.
    pub path: String,
    pub interval: Duration,
    /// Of one probe.
    pub timeout: Duration,
    /// Failures in a row that make the application unhealthy, at least 1.
    pub threshold: u32,
}

/// Probes under way. Close it to end them; dropped, they end on their own time.
pub struct AppHealth {
    status: watch::Receiver<bool>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AppHealth {
    /// Whether the application is healthy, and the changes of that.
    pub fn status(&self) -> watch::Receiver<bool> {
        self.status.clone()
    }

    /// Ends the probes, and waits for the one under way.
    pub async fn close(self) {
        self.stop.cancel();
        // A panic in it has been logged.
        let _ = self.task.await;
    }
}

impl AppChannel {
    /// Begins to probe the application. Until a probe succeeds it counts as unhealthy, and calls to it fail.
    pub fn watch_health(&self, settings: ProbeSettings) -> AppHealth {
        self.inner.healthy.send_replace(false);
        let stop = CancellationToken::new();
        let probing = Probing { channel: self.clone(), settings, failures: 0 };
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                stop.run_until_cancelled(probing.run()).await;
                tracing::info!(target: SCOPE, "App health probes stopping");
            }
        });
        AppHealth { status: self.inner.healthy.subscribe(), stop, task }
    }
}

struct Probing {
    channel: AppChannel,
    settings: ProbeSettings,
    /// In a row.
    failures: u32,
}

impl Probing {
    async fn run(mut self) {
        tracing::info!(target: SCOPE, "App health probes starting");
        let mut ticks = tokio::time::interval(self.settings.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let outcome = self.probe().await;
            self.settle(outcome);
        }
    }

    fn settle(&mut self, outcome: Result<(), String>) {
        let healthy = &self.channel.inner.healthy;
        let was_healthy = *healthy.borrow();
        match outcome {
            Ok(()) => {
                self.failures = 0;
                if !was_healthy {
                    tracing::info!(target: SCOPE, "App entered healthy status");
                    healthy.send_replace(true);
                }
            }
            Err(reason) => {
                self.failures = self.failures.saturating_add(1);
                tracing::debug!(target: SCOPE, "App health probe failed: {reason}");
                if was_healthy && self.failures >= self.settings.threshold {
                    tracing::warn!(target: SCOPE, "App entered un-healthy status: {reason}");
                    healthy.send_replace(false);
                }
            }
        }
    }

    /// One probe; the error says why it failed.
    async fn probe(&self) -> Result<(), String> {
        let Self { channel, settings, .. } = self;
        if channel.is_grpc() {
            return channel
                .health_check(settings.timeout)
                .await
                .map_err(|status| format!("Probe error: Health check failed: {}", crate::error::go_status(&status)));
        }
        let started = Instant::now();
        let exchange = async {
            let mut request = Request::new(Body::empty());
            *request.method_mut() = Method::GET;
            *request.uri_mut() = super::path_uri(&settings.path);
            let response = channel.send(request).await.map_err(|error| error.to_string())?;
            let status = response.status();
            let _ = body::collect(response.into_body(), MAX_ANSWER).await;
            Ok::<_, String>(status)
        };
        let outcome = match tokio::time::timeout(settings.timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err("context deadline exceeded".to_owned()),
        };
        let counted = outcome.as_ref().map_or(500, |status| status.as_u16());
        channel.inner.metrics.http_health_probe(counted, started.elapsed());
        match outcome {
            Ok(status) if status.is_success() => Ok(()),
            Ok(status) => Err(format!("Health check failed with status code: {}", status.as_u16())),
            Err(error) => Err(format!("Network error: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{AppSettings, Protocol};
    use super::*;
    use crate::telemetry::Metrics;

    fn probing(threshold: u32) -> Probing {
        let settings = AppSettings {
            protocol: Protocol::Http,
            address: "127.0.0.1".into(),
            port: 1,
            max_concurrency: None,
            token: None,
            max_body_size: 0,
        };
        let channel = AppChannel::new(settings, std::sync::Arc::default(), Metrics::disabled()).unwrap();
        channel.inner.healthy.send_replace(false);
        let settings = ProbeSettings {
            path: "/healthz".into(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            threshold,
        };
        Probing { channel, settings, failures: 0 }
    }

    #[test]
    fn one_success_makes_healthy_and_failures_in_a_row_unhealthy() {
        let mut probing = probing(2);
        let mut states = Vec::new();
        for well in [true, false, true, false, false, true] {
            probing.settle(if well { Ok(()) } else { Err("no".into()) });
            states.push(*probing.channel.inner.healthy.borrow());
        }
        assert_eq!(states, [true, true, true, true, false, true]);
    }

    #[tokio::test]
    async fn an_application_that_is_not_there_stays_unhealthy_and_the_probes_can_be_closed() {
        let channel = probing(1).channel;
        let settings = probing(1).settings;
        let health = channel.watch_health(settings);
        assert!(!*health.status().borrow());
        health.close().await;
    }
}
