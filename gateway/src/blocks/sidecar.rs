//! The sidecar itself: readiness, metadata, shutdown (as daprd 1.18).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::Shared;
use crate::error::{ApiError, table};
use crate::loaded::{ComponentInfo, SubscriptionInfo};
use crate::operation::{CallContext, Handle, Operation};

/// The version that clients are told: the daprd whose behaviour this is.
pub const RUNTIME_VERSION: &str = "1.18.2";

/// What must be up before the sidecar calls itself ready. Cheap to clone.
#[derive(Clone, Default)]
pub struct Readiness {
    targets: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

impl Readiness {
    /// Registers `name` as not ready.
    pub fn expect(&self, name: &'static str) {
        self.lock().insert(name, false);
    }

    pub fn set(&self, name: &'static str, ready: bool) {
        self.lock().insert(name, ready);
    }

    /// The targets that are not ready yet.
    pub fn missing(&self) -> Vec<&'static str> {
        self.lock().iter().filter(|(_, ready)| !**ready).map(|(name, _)| *name).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, bool>> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that the process end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Drain, then exit 0.
    Graceful,
    /// Exit 1 once the answer is on its way.
    Forced,
}

/// How the application is reached, as the metadata API tells it.
#[derive(Debug, Clone, Default)]
pub struct AppConnection {
    /// 0 without an application.
    pub port: u16,
    pub protocol: String,
    pub channel_address: String,
    /// 0 for no limit.
    pub max_concurrency: i32,
    pub health: Option<AppHealthSettings>,
}

/// Durations in Go's form (`5s`).
#[derive(Debug, Clone)]
pub struct AppHealthSettings {
    /// Empty for gRPC applications.
    pub path: String,
    pub interval: String,
    pub timeout: String,
    pub threshold: i32,
}

pub struct GetMetadata;

/// What the metadata API answers.
pub struct SidecarMetadata {
    pub app_id: String,
    pub features: Vec<String>,
    pub components: Vec<ComponentInfo>,
    /// What callers have set, and `daprRuntimeVersion`.
    pub extended: BTreeMap<String, String>,
    pub subscriptions: Vec<SubscriptionInfo>,
    pub http_endpoints: Vec<String>,
    pub resiliencies: Vec<String>,
    pub app: AppConnection,
}

impl Operation for GetMetadata {
    type Reply = SidecarMetadata;
    type Block = SidecarBlock;
    const NAME: &'static str = "GetMetadata";
}

pub struct SetMetadata {
    pub key: String,
    pub value: String,
}

impl Operation for SetMetadata {
    type Reply = ();
    type Block = SidecarBlock;
    const NAME: &'static str = "SetMetadata";
}

#[derive(Clone)]
pub struct SidecarBlock {
    shared: Shared,
    /// All targets; what `/v1.0/healthz` asks.
    pub readiness: Readiness,
    /// What `/v1.0/healthz/outbound` asks.
    pub outbound: Readiness,
    features: Arc<[String]>,
    app: Arc<AppConnection>,
    extended: Arc<Mutex<BTreeMap<String, String>>>,
    stop: mpsc::UnboundedSender<Stop>,
}

impl SidecarBlock {
    /// `features`: the enabled ones by name. `stop`: where requests to end the process go.
    pub fn new(
        shared: Shared,
        readiness: Readiness,
        outbound: Readiness,
        features: Vec<String>,
        app: AppConnection,
        stop: mpsc::UnboundedSender<Stop>,
    ) -> Self {
        let (features, app) = (features.into(), Arc::new(app));
        Self { shared, readiness, outbound, features, app, extended: Arc::default(), stop }
    }

    /// `app_id`: whom the caller takes this sidecar for, if it says.
    pub fn health(&self, app_id: Option<&str>) -> Result<(), ApiError> {
        let missing = self.readiness.missing();
        if !missing.is_empty() {
            return Err(table::common::health_not_ready(&missing));
        }
        match app_id {
            Some(id) if id != &*self.shared.app_id => Err(table::common::health_app_id()),
            _ => Ok(()),
        }
    }

    pub fn outbound_health(&self) -> Result<(), ApiError> {
        if self.outbound.missing().is_empty() { Ok(()) } else { Err(table::common::outbound_not_ready()) }
    }

    pub fn shutdown(&self, forced: bool) {
        let stop = if forced {
            tracing::warn!(target: "dapr.runtime", "Force shutdown requested, exiting immediately without graceful shutdown");
            Stop::Forced
        } else {
            tracing::info!(target: "dapr.runtime", "Shutdown requested via API");
            Stop::Graceful
        };
        // Nobody listens any more only when the process is ending already.
        let _ = self.stop.send(stop);
    }
}

impl Handle<GetMetadata> for SidecarBlock {
    async fn handle(&self, _context: &CallContext, _operation: GetMetadata) -> Result<SidecarMetadata, ApiError> {
        let mut extended = self.extended.lock().unwrap_or_else(PoisonError::into_inner).clone();
        extended.insert("daprRuntimeVersion".to_owned(), RUNTIME_VERSION.to_owned());
        let components = self.shared.loaded.current();
        Ok(SidecarMetadata {
            app_id: self.shared.app_id.to_string(),
            features: self.features.to_vec(),
            components: components.infos.iter().map(|info| ComponentInfo::clone(info)).collect(),
            extended,
            subscriptions: components.subscriptions.clone(),
            http_endpoints: components.http_endpoints.clone(),
            resiliencies: components.resiliencies.clone(),
            app: AppConnection::clone(&self.app),
        })
    }
}

impl Handle<SetMetadata> for SidecarBlock {
    async fn handle(&self, _context: &CallContext, operation: SetMetadata) -> Result<(), ApiError> {
        if !operation.key.is_empty() {
            let mut extended = self.extended.lock().unwrap_or_else(PoisonError::into_inner);
            extended.insert(operation.key, operation.value);
        }
        Ok(())
    }
}
