//! Whether the application listens (as daprd 1.18 at its start).

use std::time::Duration;

use super::AppChannel;

/// For one attempt to connect, TLS included; and between two attempts.
const DIAL_TIMEOUT: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(100);
/// Attempts between two lines of the log.
const ATTEMPTS_PER_LINE: u32 = 100;

impl AppChannel {
    /// Whether the application accepts connections.
    pub async fn is_reachable(&self) -> bool {
        self.inner.origin.clone().with_dial_timeout(DIAL_TIMEOUT).connect().await.is_ok()
    }

    /// Returns when the application accepts connections. Drop the future to stop waiting.
    pub async fn wait_until_reachable(&self) {
        let mut attempts = 0u32;
        while !self.is_reachable().await {
            attempts = attempts.wrapping_add(1);
            if attempts.is_multiple_of(ATTEMPTS_PER_LINE) {
                let port = self.inner.settings.port;
                tracing::info!(target: "dapr.runtime", "waiting for application to listen on port {port}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{AppSettings, Protocol};
    use super::*;
    use crate::telemetry::Metrics;

    #[tokio::test]
    async fn returns_once_the_application_listens() {
        let reserved = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = reserved.local_addr().unwrap();
        drop(reserved);
        let settings = AppSettings {
            protocol: Protocol::Http,
            address: "127.0.0.1".into(),
            port: address.port(),
            max_concurrency: None,
            token: None,
            max_body_size: 0,
        };
        let channel = AppChannel::new(settings, Arc::default(), Metrics::disabled()).unwrap();
        assert!(!channel.is_reachable().await);
        let waiting = tokio::spawn(async move { channel.wait_until_reachable().await });
        let _listener = tokio::net::TcpListener::bind(address).await.unwrap();
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    }
}
