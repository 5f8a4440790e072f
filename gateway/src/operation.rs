//! A building-block call as a type, and who answers it.

use std::future::Future;

use crate::error::ApiError;
use crate::telemetry::trace::SpanContext;

/// A call to a building block, whatever wire it came over.
pub trait Operation: Send + Sized + 'static {
    type Reply: Send + 'static;
    /// The block that owns this operation.
    type Block: Handle<Self>;
    /// As the catalogue lists it, for example `GetState`.
    const NAME: &'static str;
}

/// Implemented by the block that owns `O`.
pub trait Handle<O: Operation>: Send + Sync {
    fn handle(&self, context: &CallContext, operation: O) -> impl Future<Output = Result<O::Reply, ApiError>> + Send;
}

/// The wire that a call came over. Only data may depend on it, never the course of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    Http,
    Grpc,
}

/// What every call carries beside its operation.
#[derive(Debug, Clone)]
pub struct CallContext {
    pub front: Front,
    /// The span that the front has opened; all zeros without tracing and without a caller's. `None`: tracing is off.
    pub trace: Option<SpanContext>,
    /// The caller's valid `baggage` header.
    pub baggage: Option<String>,
}

impl CallContext {
    pub fn new(front: Front) -> Self {
        Self { front, trace: None, baggage: None }
    }

    /// W3C form of the span, empty without one.
    pub fn traceparent(&self) -> String {
        self.trace.as_ref().filter(|trace| trace.is_valid()).map(SpanContext::traceparent).unwrap_or_default()
    }

    pub fn tracestate(&self) -> String {
        self.trace.as_ref().and_then(|trace| trace.tracestate()).unwrap_or_default().to_owned()
    }
}
