//! The application's side of the start: wait for its port, watch its health, ask what it wants, begin to deliver
//! (as daprd 1.18).

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::signals::Signals;
use super::{Fatal, Generation, Process, SCOPE};
use crate::app::AppChannel;
use crate::app::health::{AppHealth, ProbeSettings};
use crate::body::collect;
use crate::cli::Flags;
use crate::inbound::{Inbound, programmatic};
use crate::resiliency::BuiltIn;

/// The most bytes of the application's configuration or subscriptions.
const MAX_ANSWER: usize = 4 << 20;

/// The application, as far as the sidecar's life depends on it.
pub struct Application {
    channel: Option<AppChannel>,
    health: Option<AppHealth>,
    /// Follows health; replaced by each generation.
    watching: Option<Watching>,
}

struct Watching {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Application {
    pub fn new(generation: &Generation) -> Self {
        Self { channel: generation.channel.clone(), health: None, watching: None }
    }

    /// Waits until the application's port accepts connections; returns at once without one. Health checks begin then.
    pub async fn discovered(mut self, flags: &Flags) -> Self {
        let Some(channel) = &self.channel else {
            tracing::info!(target: SCOPE, "App channel is not initialized. Did you configure an app-port?");
            return self;
        };
        let (protocol, port) = (flags.app_protocol.as_str(), channel.settings().port);
        tracing::info!(
            target: SCOPE,
            "application protocol: {protocol}. waiting on port {port}.  This will block until the app is listening on that port."
        );
        channel.wait_until_reachable().await;
        tracing::info!(target: SCOPE, "application discovered on port {port}");
        self.health = flags.app_health.map(|health| {
            channel.watch_health(ProbeSettings {
                path: flags.app_health_check_path.clone(),
                interval: health.interval,
                timeout: health.timeout,
                threshold: health.threshold,
            })
        });
        self
    }

    /// Begins to deliver with `generation`: at once, or when the application is healthy; stops while it is not.
    pub async fn begin(&mut self, process: &Process, generation: &Generation) -> Result<(), Fatal> {
        let Some(channel) = self.channel.clone() else {
            return Ok(());
        };
        let asker = Asker {
            channel,
            inbound: generation.inbound.clone(),
            asks_config: process.flags.asks_app_config,
            asks_subscriptions: process.flags.asks_app_subscriptions,
            has_pubsub: !generation.runtime.shared.loaded.current().pubsub.is_empty(),
            policy: generation.runtime.shared.policies.load().built_in(BuiltIn::InitializationRetries),
            app_id: process.flags.app_id.clone(),
        };
        match self.health() {
            None => asker.begin().await,
            Some(health) => {
                let stop = CancellationToken::new();
                let task = tokio::spawn(follow(health, asker, stop.clone()));
                self.watching = Some(Watching { stop, task });
            }
        }
        Ok(())
    }

    /// Stops deliveries: a reload is about to put others in their place.
    pub async fn pause(&mut self, generation: &Generation) {
        self.end_watching().await;
        generation.inbound.stop(true).await;
    }

    async fn end_watching(&mut self) {
        if let Some(watching) = self.watching.take() {
            watching.stop.cancel();
            // It ends by the token; a panic in it has been logged.
            let _ = watching.task.await;
        }
    }

    /// Ends health checks.
    pub async fn close(mut self) {
        self.end_watching().await;
        if let Some(health) = self.health.take() {
            health.close().await;
        }
    }

    /// Becomes false when the application is reported unhealthy; never without health checks.
    pub fn health(&self) -> Option<watch::Receiver<bool>> {
        self.health.as_ref().map(AppHealth::status)
    }
}

/// `--dapr-block-shutdown-duration`: deliveries stop for good, the APIs go on until the time is over or the
/// application is unhealthy.
pub async fn block(
    duration: Duration,
    generation: &Generation,
    app: &Application,
    signals: &mut Signals,
) -> Result<(), Fatal> {
    let text = crate::config::GoDuration::from(duration);
    tracing::info!(target: SCOPE, "Blocking graceful shutdown for {text} or until app reports unhealthy...");
    generation.inbound.stop(true).await;
    let unhealthy = async {
        match app.health() {
            Some(mut health) => {
                // The sender lives in `app`, which outlives this wait.
                let _ = health.wait_for(|healthy| !healthy).await;
            }
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = unhealthy => tracing::info!(target: SCOPE, "App reported unhealthy, entering shutdown..."),
        () = tokio::time::sleep(duration) => {
            tracing::info!(target: SCOPE, "Block shutdown period expired, entering shutdown...");
        }
        name = signals.next_stop() => {
            return Err(format!("Received signal '{name}' during shutdown; exiting immediately").into());
        }
    }
    Ok(())
}

/// Starts deliveries while healthy, stops them while not.
async fn follow(mut health: watch::Receiver<bool>, asker: Asker, stop: CancellationToken) {
    let mut was_asked = false;
    loop {
        let is_healthy = *health.borrow_and_update();
        if is_healthy && !was_asked {
            was_asked = true;
            tokio::select! {
                () = asker.begin() => {}
                () = stop.cancelled() => return,
            }
        } else if is_healthy {
            asker.inbound.start();
        } else {
            asker.inbound.stop(false).await;
        }
        tokio::select! {
            changed = health.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

/// Asks the application for its configuration and subscriptions, once.
struct Asker {
    channel: AppChannel,
    inbound: Inbound,
    asks_config: bool,
    asks_subscriptions: bool,
    has_pubsub: bool,
    policy: crate::resiliency::Policy,
    app_id: String,
}

impl Asker {
    async fn begin(&self) {
        if self.asks_config {
            self.ask_configuration().await;
        } else {
            tracing::info!(target: SCOPE, "Skipping programmatic dapr configuration loading");
        }
        if !self.asks_subscriptions {
            tracing::info!(target: "dapr.runtime.processor.subscription", "Skipping programmatic subscription loading");
        } else if self.has_pubsub {
            match self.subscriptions().await {
                Ok(subscriptions) => {
                    programmatic::log_topics(&subscriptions);
                    self.inbound.set_programmatic(subscriptions);
                }
                Err(error) => {
                    tracing::warn!(target: SCOPE, "failed to subscribe to topics: {error}");
                    return;
                }
            }
        }
        self.inbound.start();
    }

    /// The application's actor configuration. Without actors it only tells that the application answered.
    async fn ask_configuration(&self) {
        if self.channel.is_grpc() {
            return;
        }
        let answer = self.policy.run(|| self.get("/dapr/config")).await;
        match answer {
            Ok((200, body)) if serde_json::from_slice::<serde_json::Value>(&body).is_ok() => {
                tracing::info!(target: SCOPE, "Application configuration loaded");
            }
            Ok((200, _)) => {
                tracing::warn!(target: SCOPE, "Failed to read the app's configuration: it is not JSON");
            }
            Ok(_) => tracing::info!(target: SCOPE, "Application configuration loaded"),
            Err(error) => tracing::warn!(target: SCOPE, "Failed to get the app's configuration: {error}"),
        }
    }

    async fn subscriptions(&self) -> Result<Vec<crate::inbound::subscription::Subscription>, String> {
        if self.channel.is_grpc() {
            let answer =
                self.policy.run(|| async { self.channel.list_topic_subscriptions().await.map_err(Failed::from) }).await;
            return match answer {
                Ok(reply) => programmatic::from_grpc(reply),
                Err(error) if error.to_string().contains("code = Unimplemented") => {
                    tracing::info!(
                        target: "dapr.runtime.processor.subscription",
                        "pubsub subscriptions: gRPC app does not implement ListTopicSubscriptions"
                    );
                    Ok(Vec::new())
                }
                Err(error) => Err(format!("error getting topic list from app: {error}")),
            };
        }
        let (status, body) =
            self.policy.run(|| self.get("/dapr/subscribe")).await.map_err(|error| error.to_string())?;
        match status {
            200 => programmatic::from_http(&body),
            404 => Ok(Vec::new()),
            other => {
                tracing::error!(
                    target: "dapr.runtime.processor.subscription",
                    "app returned http status code {other} from subscription endpoint"
                );
                Ok(Vec::new())
            }
        }
    }

    async fn get(&self, path: &'static str) -> Result<(u16, bytes::Bytes), Failed> {
        let mut request = http::Request::new(crate::body::Body::empty());
        *request.uri_mut() = http::Uri::from_static(path);
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, json);
        if let Ok(app_id) = http::HeaderValue::from_str(&self.app_id) {
            request.headers_mut().insert("dapr-app-id", app_id);
        }
        let response =
            self.channel.invoke(request).await.map_err(|error| Failed { text: error.to_string(), again: true })?;
        let status = response.status().as_u16();
        let body = collect(response.into_body(), MAX_ANSWER).await;
        Ok((status, body.map_err(|error| Failed { text: error.to_string(), again: true })?))
    }
}

/// An answer that did not come.
struct Failed {
    text: String,
    again: bool,
}

impl From<tonic::Status> for Failed {
    fn from(status: tonic::Status) -> Self {
        Self { text: crate::error::go_status(&status), again: status.code() != tonic::Code::Unimplemented }
    }
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl crate::resiliency::Failure for Failed {
    fn is_retryable(&self) -> bool {
        self.again
    }
}
