//! Who is measured.

use std::path::PathBuf;
use std::time::Duration;

use super::closed_loop::Counted;
use crate::target::{Builder, Sidecar};

/// One of the programs under comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// Ottavo, by path.
    Ottavo(PathBuf),
    /// A real daprd, by path.
    Daprd(PathBuf),
    /// Bare hyper: the limit.
    Control,
}

impl Subject {
    /// As in the report.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ottavo(_) => "ottavo",
            Self::Daprd(_) => "daprd",
            Self::Control => "control",
        }
    }

    /// A sidecar of this kind, as in production: metrics on, log level info. `None` for the control.
    ///
    /// App ids differ from subject to subject and run to run, so that nobody finds another's.
    pub fn sidecar(&self, app_id: &str) -> Option<Builder> {
        let path = match self {
            Self::Ottavo(path) | Self::Daprd(path) => path,
            Self::Control => return None,
        };
        Some(Sidecar::builder(&self.app_id(app_id)).binary(path).argument("--log-level").argument("info"))
    }

    /// The app id that [`Subject::sidecar`] gives.
    pub fn app_id(&self, app_id: &str) -> String {
        format!("bench-{}-{app_id}-{}", self.name(), std::process::id())
    }
}

/// A subject that is set up for a scenario and may be driven again and again.
pub struct Running {
    /// The processes whose CPU counts.
    pub ids: Vec<u32>,
    /// Drives it for a time. Holds all that must live as long: a closure keeps only what it names.
    pub drive: Box<dyn Fn(Duration) -> Counted>,
}
