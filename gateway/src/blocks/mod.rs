//! The building blocks: one file or folder each. A block answers its operations; it knows components and policies,
//! never a wire.

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::loaded::Loaded;
use crate::resiliency::Policies;
use crate::telemetry::{Metrics, Tracer};

pub mod absent;
pub mod access_control;
mod attempt;
pub mod bindings;
pub mod invoke;
pub mod pubsub;
pub mod secrets;
pub mod sidecar;
pub mod state;

pub use attempt::Attempt;

/// What every block works with.
#[derive(Clone)]
pub struct Shared {
    pub app_id: Arc<str>,
    /// The application's namespace, `default` when none was given.
    pub namespace: Arc<str>,
    pub loaded: Loaded,
    /// Swapped when Resiliency resources change.
    pub policies: Arc<ArcSwap<Policies>>,
    pub metrics: Metrics,
    pub tracer: Tracer,
}
