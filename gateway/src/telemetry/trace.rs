//! Trace context and spans: W3C headers, sampling and exporters as daprd 1.18 has them.

pub mod baggage;
pub mod context;
mod export;
pub mod ids;
mod span;
mod tracer;

pub use baggage::BaggageError;
pub use context::{SpanContext, TraceState};
pub use span::{Span, SpanKind, Status};
pub use tracer::{Mode, Tracer};
