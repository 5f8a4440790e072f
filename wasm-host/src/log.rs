//! What guests write into the gateway's log.

/// Severity, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// Takes the lines of guests.
pub trait Log: Send + Sync {
    /// Whether lines of this level are written; guests ask to save themselves the work.
    fn is_enabled(&self, level: Level) -> bool;

    /// Writes a line.
    fn write(&self, level: Level, line: &str);
}

/// The gateway's log, under the scope that daprd 1.18 gives its components.
pub struct ComponentLog;

/// Log scope of components, as in daprd 1.18.
pub(crate) const SCOPE: &str = "dapr.contrib";

impl Log for ComponentLog {
    fn is_enabled(&self, level: Level) -> bool {
        match level {
            Level::Trace => tracing::enabled!(target: SCOPE, tracing::Level::TRACE),
            Level::Debug => tracing::enabled!(target: SCOPE, tracing::Level::DEBUG),
            Level::Info => tracing::enabled!(target: SCOPE, tracing::Level::INFO),
            Level::Warn => tracing::enabled!(target: SCOPE, tracing::Level::WARN),
            Level::Error => tracing::enabled!(target: SCOPE, tracing::Level::ERROR),
        }
    }

    fn write(&self, level: Level, line: &str) {
        match level {
            Level::Trace => tracing::trace!(target: SCOPE, "{line}"),
            Level::Debug => tracing::debug!(target: SCOPE, "{line}"),
            Level::Info => tracing::info!(target: SCOPE, "{line}"),
            Level::Warn => tracing::warn!(target: SCOPE, "{line}"),
            Level::Error => tracing::error!(target: SCOPE, "{line}"),
        }
    }
}
