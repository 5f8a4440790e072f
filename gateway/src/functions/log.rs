//! What a function's guests write: into the gateway's log, under the function's name, and to those who follow it.

use wasm_host::log::{Level, Log};

use super::lines::Writer;
use super::slot::Slot;

/// Log scope of guests.
const GUEST: &str = "ottavo.function";

/// The log of one function.
pub struct FunctionLog {
    function: String,
    lines: Writer,
}

impl FunctionLog {
    pub fn of(slot: &Slot) -> Self {
        Self { function: slot.name().to_owned(), lines: slot.lines.writer() }
    }
}

impl Log for FunctionLog {
    fn is_enabled(&self, level: Level) -> bool {
        // Who follows a function sees as much as a log of level `info`, whatever the gateway's is.
        is_logged(level) || (level >= Level::Info && self.lines.is_followed())
    }

    fn write(&self, level: Level, line: &str) {
        let function = &self.function;
        // What the host says of a guest names it already.
        let line = line.strip_prefix(function.as_str()).and_then(|rest| rest.strip_prefix(": ")).unwrap_or(line);
        self.lines.write(line);
        match level {
            Level::Trace => tracing::trace!(target: GUEST, "{function}: {line}"),
            Level::Debug => tracing::debug!(target: GUEST, "{function}: {line}"),
            Level::Info => tracing::info!(target: GUEST, "{function}: {line}"),
            Level::Warn => tracing::warn!(target: GUEST, "{function}: {line}"),
            Level::Error => tracing::error!(target: GUEST, "{function}: {line}"),
        }
    }
}

fn is_logged(level: Level) -> bool {
    match level {
        Level::Trace => tracing::enabled!(target: GUEST, tracing::Level::TRACE),
        Level::Debug => tracing::enabled!(target: GUEST, tracing::Level::DEBUG),
        Level::Info => tracing::enabled!(target: GUEST, tracing::Level::INFO),
        Level::Warn => tracing::enabled!(target: GUEST, tracing::Level::WARN),
        Level::Error => tracing::enabled!(target: GUEST, tracing::Level::ERROR),
    }
}
