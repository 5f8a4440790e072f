//! A guest's line to its sidecar and to the log.

use std::sync::Arc;

use crate::log::{Level, Log};
use crate::sidecar::{CallError, Caller, Sidecar};

/// Who calls, whom, and where it is written down. Cheap to clone.
#[derive(Clone)]
pub(super) struct Link {
    pub sidecar: Arc<dyn Sidecar>,
    pub caller: Caller,
    pub log: Arc<dyn Log>,
}

impl Link {
    /// Writes down why a call had no answer: what was not granted for everybody to see, the rest for who looks for it,
    /// since the guest gets its text.
    pub fn note(&self, error: &CallError) {
        let level = if matches!(error, CallError::Denied { .. }) { Level::Warn } else { Level::Debug };
        if self.log.is_enabled(level) {
            self.log.write(level, &error.to_string());
        }
    }
}
