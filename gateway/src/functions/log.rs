//! What a function's guests write into the gateway's log, under the function's name.

use wasm_host::log::{Level, Log};

/// Log scope of guests.
const GUEST: &str = "ottavo.function";

/// The log of one function.
pub struct FunctionLog {
    pub function: String,
}

impl Log for FunctionLog {
    fn is_enabled(&self, level: Level) -> bool {
        match level {
            Level::Trace => tracing::enabled!(target: GUEST, tracing::Level::TRACE),
            Level::Debug => tracing::enabled!(target: GUEST, tracing::Level::DEBUG),
            Level::Info => tracing::enabled!(target: GUEST, tracing::Level::INFO),
            Level::Warn => tracing::enabled!(target: GUEST, tracing::Level::WARN),
            Level::Error => tracing::enabled!(target: GUEST, tracing::Level::ERROR),
        }
    }

    fn write(&self, level: Level, line: &str) {
        let function = &self.function;
        // What the host says of a guest names it already.
        let line = line.strip_prefix(function.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
        match level {
            Level::Trace => tracing::trace!(target: GUEST, "{function}: {line}"),
            Level::Debug => tracing::debug!(target: GUEST, "{function}: {line}"),
            Level::Info => tracing::info!(target: GUEST, "{function}: {line}"),
            Level::Warn => tracing::warn!(target: GUEST, "{function}: {line}"),
            Level::Error => tracing::error!(target: GUEST, "{function}: {line}"),
        }
    }
}
