//! The channel to the application: every call that the sidecar makes to it, over HTTP or gRPC.
//!
//! [`AppChannel`] is a value, cheap to clone, made once from settings. Calls pass the health gate, take one of the
//! concurrency slots, bring the application's token and go through the user's pipeline; their texts of failure are those
//! of daprd 1.18, whose callers match them.

mod callbacks;
mod error;
pub mod gzip;
pub mod health;
mod http;
mod ready;
pub mod url;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arc_swap::ArcSwap;
use components::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::client::grpc::GrpcClient;
use crate::client::http1::Http1Pool;
use crate::client::http2::Http2Pool;
use crate::client::tls::{TlsConfig, Trust};
use crate::client::{ClientError, Origin};
use crate::pipeline::Pipeline;
use crate::telemetry::Metrics;

pub use error::{AppError, go_operation};
pub use health::{AppHealth, ProbeSettings};
pub use http::finish_response;
pub(crate) use http::{asks_for_encoding, through};
pub use url::path_uri;

/// The header that carries a token.
pub const TOKEN_HEADER: ::http::HeaderName = ::http::HeaderName::from_static("dapr-api-token");

/// What the application speaks (`--app-protocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Https,
    /// HTTP/2 with prior knowledge.
    H2c,
    Grpc,
    Grpcs,
}

impl Protocol {
    /// The flag's word, in any case; empty is `http`.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "" | "http" => Self::Http,
            "https" => Self::Https,
            "h2c" => Self::H2c,
            "grpc" => Self::Grpc,
            "grpcs" => Self::Grpcs,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::H2c => "h2c",
            Self::Grpc => "grpc",
            Self::Grpcs => "grpcs",
        }
    }

    pub fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc | Self::Grpcs)
    }

    pub fn has_tls(self) -> bool {
        matches!(self, Self::Https | Self::Grpcs)
    }
}

/// How the application is reached.
#[derive(Debug, Clone)]
pub struct AppSettings {
    pub protocol: Protocol,
    /// Host name or address.
    pub address: String,
    pub port: u16,
    /// Calls at one time; `None` for no limit.
    pub max_concurrency: Option<usize>,
    /// What the application gets with each call (`APP_API_TOKEN`).
    pub token: Option<Secret>,
    /// The most bytes of a gRPC message; 0 for no limit.
    pub max_body_size: usize,
}

/// The application. Cheap to clone.
#[derive(Clone)]
pub struct AppChannel {
    inner: Arc<Inner>,
}

struct Inner {
    settings: AppSettings,
    origin: Origin,
    transport: Transport,
    token: Option<::http::HeaderValue>,
    slots: Option<Arc<Semaphore>>,
    /// Always true without health probes.
    healthy: watch::Sender<bool>,
    pipeline: Arc<ArcSwap<Pipeline>>,
    metrics: Metrics,
    /// Whether the application has answered bulk deliveries, and jobs, under their former names only.
    knows_alpha: [AtomicBool; 2],
}

enum Transport {
    Http1(Http1Pool),
    Http2(Http2Pool),
    Grpc(GrpcClient),
}

impl AppChannel {
    /// `pipeline`: the user's middleware before the application (`spec.appHttpPipeline`).
    ///
    /// # Errors
    /// The address or the token cannot be part of a request.
    pub fn new(settings: AppSettings, pipeline: Arc<ArcSwap<Pipeline>>, metrics: Metrics) -> Result<Self, ClientError> {
        // An application next door has no certificate that anybody could vouch for, as in daprd.
        let tls = settings.protocol.has_tls().then(|| TlsConfig::new(Trust::Anybody));
        let tls = tls.map(|tls| if settings.protocol == Protocol::Grpcs { tls.with_http2() } else { tls });
        let origin = Origin::new(&settings.address, settings.port, tls)?;
        let transport = match settings.protocol {
            Protocol::Http | Protocol::Https => Transport::Http1(Http1Pool::new(origin.clone())),
            Protocol::H2c => Transport::Http2(Http2Pool::new(origin.clone(), None)),
            Protocol::Grpc | Protocol::Grpcs => {
                Transport::Grpc(GrpcClient::new(Http2Pool::new(origin.clone(), None), settings.max_body_size))
            }
        };
        let token = settings.token.as_ref().filter(|token| !token.reveal().is_empty()).map(token_header).transpose()?;
        let slots = settings.max_concurrency.filter(|most| *most > 0).map(|most| Arc::new(Semaphore::new(most)));
        let knows_alpha = Default::default();
        let healthy = watch::Sender::new(true);
        let inner = Inner { settings, origin, transport, token, slots, healthy, pipeline, metrics, knows_alpha };
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn settings(&self) -> &AppSettings {
        &self.inner.settings
    }

    pub fn is_grpc(&self) -> bool {
        self.inner.settings.protocol.is_grpc()
    }

    /// `http://address:port`, as it stands in messages.
    pub fn base_url(&self) -> String {
        format!("{}://{}", self.inner.origin.scheme(), self.inner.origin)
    }

    /// The token, as a header.
    pub fn token(&self) -> Option<&::http::HeaderValue> {
        self.inner.token.as_ref()
    }

    pub fn pipeline(&self) -> &Arc<ArcSwap<Pipeline>> {
        &self.inner.pipeline
    }

    /// The connections to a gRPC application, for calls that are relayed as they are.
    pub fn grpc_pool(&self) -> Option<&Http2Pool> {
        match &self.inner.transport {
            Transport::Grpc(client) => Some(client.pool()),
            _ => None,
        }
    }

    /// `Err` while the application is unhealthy.
    fn gate(&self) -> Result<(), AppError> {
        if *self.inner.healthy.borrow() { Ok(()) } else { Err(AppError::unhealthy()) }
    }

    /// Waits for one of the concurrency slots, which is free again when the permit is dropped.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.inner.slots.clone()?.acquire_owned().await.ok()
    }
}

/// A token as a header that does not print.
fn token_header(token: &Secret) -> Result<::http::HeaderValue, ClientError> {
    let mut value = ::http::HeaderValue::from_str(token.reveal())
        .map_err(|_| ClientError::request("APP_API_TOKEN holds a character that a header cannot hold"))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_read_in_any_case() {
        assert_eq!(Protocol::parse(""), Some(Protocol::Http));
        assert_eq!(Protocol::parse("GRPCS"), Some(Protocol::Grpcs));
        assert_eq!(Protocol::parse("tcp"), None);
    }
}
