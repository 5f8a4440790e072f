//! When a failed message is offered again by the brokers that live in this program.

use std::time::Duration;

/// The pauses of a message that fails again and again.
#[derive(Debug, Clone, Copy)]
pub struct Redelivery {
    /// The pause before each new attempt.
    pub pause: Duration,
    /// How often a message is offered again; after that it is dropped, which is logged.
    pub limit: u32,
}

impl Default for Redelivery {
    fn default() -> Self {
        Self { pause: Duration::from_secs(7), limit: 10 }
    }
}

/// Logs that a message was given up.
pub fn log_drop(component: &str, topic: &str, attempts: u32, error: &str) {
    tracing::warn!(
        "pubsub {component}: dropped a message of topic {topic} after {attempts} failed attempts; last error: {error}"
    );
}

/// Logs that a handler failed a message which is not to be offered again, as daprd's in-memory broker does.
pub fn log_failure(component: &str, topic: &str, error: &str) {
    tracing::error!("pubsub {component}: a message of topic {topic} failed: {error}");
}
