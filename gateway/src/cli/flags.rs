//! The flags of the sidecar, typed and checked.

use std::path::PathBuf;
use std::time::Duration;

use components::metadata::Secret;

use crate::config::Environment;
use crate::telemetry::logging::{Level, LogOptions};

/// Where resources come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Standalone,
    Kubernetes,
}

/// How the application is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppProtocol {
    Http,
    Https,
    H2c,
    Grpc,
    Grpcs,
}

impl AppProtocol {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
        }
    }

    /// Whether it is HTTP in any form (and not gRPC).
    pub fn is_http(self) -> bool {
        !matches!(self, Self::Grpc | Self::Grpcs)
    }

    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }
}

/// What the sidecar was started with. Each field names its flag in [`super::table`]; defaults are filled in, sizes and
/// durations are in bytes and real durations, placeholders for "no address" are gone.
#[derive(Debug, Clone)]
pub struct Flags {
    pub mode: Mode,
    pub app_id: String,
    /// `None`: there is no application to call.
    pub app_port: Option<u16>,
    /// With the deprecated `--app-ssl` taken in.
    pub app_protocol: AppProtocol,
    pub app_channel_address: String,
    /// `None` for no limit.
    pub app_max_concurrency: Option<usize>,
    pub http_port: u16,
    pub grpc_port: u16,
    /// `None`: a port that is the same at each start, if it is free (dapr-surface 1.3).
    pub internal_grpc_port: Option<u16>,
    /// Empty for all addresses.
    pub internal_grpc_listen_address: String,
    /// At least one; an empty one means all addresses.
    pub listen_addresses: Vec<String>,
    /// `None`: no public server.
    pub public_port: Option<u16>,
    /// Empty for all addresses.
    pub public_listen_address: String,
    /// `None`: no port, as after `--profile-port -1`.
    pub profile_port: Option<u16>,
    pub enable_profiling: bool,
    /// Folder of the API's sockets; then the APIs have no ports.
    pub unix_domain_socket: Option<PathBuf>,
    /// Bytes of a request's body; 0 for no limit.
    pub max_body_size: usize,
    /// Bytes of a request's head.
    pub read_buffer_size: usize,
    /// With the deprecated `--components-path` taken in.
    pub resources_path: Vec<PathBuf>,
    /// Files in standalone mode, names of resources in Kubernetes mode.
    pub config: Vec<String>,
    pub control_plane_address: String,
    pub control_plane_trust_domain: String,
    pub control_plane_namespace: String,
    pub sentry_address: String,
    pub sentry_request_jwt_audiences: Vec<String>,
    pub enable_mtls: bool,
    /// `DAPR_TRUST_ANCHORS`: PEM.
    pub trust_anchors: Option<String>,
    /// As given: empty for no CORS, `*`, or a list.
    pub allowed_origins: String,
    /// `None`: as the configuration says.
    pub enable_api_logging: Option<bool>,
    pub disable_builtin_k8s_secret_store: bool,
    /// `None`: the application's health is not checked.
    pub app_health: Option<AppHealth>,
    /// Path of health checks, with its leading slash.
    pub app_health_check_path: String,
    /// Zero waits for ever.
    pub graceful_shutdown: Duration,
    pub block_shutdown: Option<Duration>,
    /// Whether `/dapr/config` of the application is asked.
    pub asks_app_config: bool,
    /// Whether `/dapr/subscribe` of the application is asked.
    pub asks_app_subscriptions: bool,
    /// Empty: no placement, and no actors.
    pub placement_addresses: Vec<String>,
    /// Empty: no scheduler.
    pub scheduler_addresses: Vec<String>,
    pub scheduler_job_streams: u32,
    pub actors_disseminate_timeout: Duration,
    pub hot_reload_reconcile_interval: Duration,
    pub log: LogFlags,
    pub metrics: MetricsFlags,
    /// Ottavo's own: where functions are called and managed.
    pub functions: FunctionsFlags,
    /// `DAPR_API_TOKEN`: what callers of the API must send.
    pub api_token: Option<Secret>,
    /// `APP_API_TOKEN`: what the application gets with each call.
    pub app_token: Option<Secret>,
    /// The environment that the process was started with.
    pub environment: Environment,
    /// Lines about deprecated flags, for standard error.
    pub notices: Vec<String>,
}

/// When the application counts as unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppHealth {
    pub interval: Duration,
    pub timeout: Duration,
    /// Failed checks in a row, at least 1.
    pub threshold: u32,
}

/// `--functions-*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FunctionsFlags {
    /// `None`: functions are called over the API alone.
    pub port: Option<u16>,
    /// Where that port is; empty: where the APIs are, and nowhere but on loopback without an address for those.
    pub listen_address: String,
    /// `None`: functions are managed by their manifests alone.
    pub admin_port: Option<u16>,
    pub admin_listen_address: String,
    /// The same at a Unix socket, for this user alone.
    pub admin_socket: Option<PathBuf>,
    /// Where installed functions are kept over a restart; `None`: nowhere.
    pub state: Option<PathBuf>,
    /// A port is found for functions when there are any, though none was given.
    pub finds_port: bool,
}

/// `--log-*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFlags {
    pub level: Level,
    /// The level as it was given, which daprd logs.
    pub level_text: String,
    pub json: bool,
    pub file: Option<PathBuf>,
}

/// `--metrics-*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsFlags {
    pub enabled: bool,
    pub port: u16,
    pub listen_address: String,
}

impl Flags {
    /// How log lines look; `version` is printed in each.
    pub fn log_options(&self, version: &str) -> LogOptions {
        LogOptions {
            level: self.log.level,
            json: self.log.json,
            file: self.log.file.clone(),
            app_id: self.app_id.clone(),
            version: version.to_owned(),
        }
    }

    /// What daprd adds to its own environment at start, for components and child processes; see
    /// [`Environment::set`].
    pub fn exported_variables(&self, host_address: &str, internal_grpc_port: u16) -> [(&'static str, String); 8] {
        [
            ("APP_ID", self.app_id.clone()),
            ("APP_PORT", self.app_port.unwrap_or_default().to_string()),
            ("HOST_ADDRESS", host_address.to_owned()),
            ("DAPR_PORT", internal_grpc_port.to_string()),
            ("DAPR_GRPC_PORT", self.grpc_port.to_string()),
            ("DAPR_HTTP_PORT", self.http_port.to_string()),
            ("DAPR_METRICS_PORT", self.metrics.port.to_string()),
            ("DAPR_PROFILE_PORT", self.profile_port.unwrap_or_default().to_string()),
        ]
    }
}
