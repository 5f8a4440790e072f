//! What the sidecar says about itself: log lines, metrics and spans, with daprd's names.

pub mod logging;
pub mod metrics;
pub mod trace;

pub use metrics::Metrics;
pub use trace::Tracer;
