//! One call of a function, whatever has caused it: span, measures, and what a failure is called.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use http::{Request, Response};
use wasm_host::Error;
use wasm_host::function::{Message, Outcome};
use wasm_host::sidecar::Caller;

use super::slot::{Live, Slot};
use super::{DEEPEST, Functions, SCOPE};
use crate::body::{Body, from_guest, to_guest};
use crate::error::{ApiError, table};
use crate::telemetry::metrics::FunctionCall;
use crate::telemetry::trace::{Span, SpanContext, SpanKind, Status};

/// What has caused a call, for measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    Http,
    /// `/v1.0/invoke`, or a gRPC call.
    Invoke,
    /// Another function.
    Function,
    Topic,
    Schedule,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Invoke => "invoke",
            Self::Function => "function",
            Self::Topic => "topic",
            Self::Schedule => "cron",
        }
    }
}

/// How a call came about.
pub struct Origin<'a> {
    pub cause: Cause,
    /// How many functions have called each other before this one.
    pub depth: u32,
    /// The span that it belongs to.
    pub trace: Option<&'a SpanContext>,
}

impl Functions {
    /// Calls a function with a request.
    ///
    /// # Errors
    /// It has no module, no guest is free, or its guest has failed.
    pub async fn request(
        &self,
        slot: &Slot,
        origin: Origin<'_>,
        request: Request<Body>,
    ) -> Result<Response<Body>, ApiError> {
        let call = self.open(slot, &origin)?;
        let outcome = call.live.function.handle_http(&call.caller, request.map(to_guest)).await;
        let word = match &outcome {
            Ok(response) if response.status().is_server_error() => "error",
            Ok(_) => "success",
            Err(error) => word(error),
        };
        call.end(word, outcome.as_ref().err());
        match outcome {
            Ok(response) => Ok(response.map(from_guest)),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Hands a message to a function.
    ///
    /// # Errors
    /// As [`Functions::request`].
    pub async fn message(&self, slot: &Slot, origin: Origin<'_>, message: Message) -> Result<Outcome, ApiError> {
        let call = self.open(slot, &origin)?;
        let outcome = call.live.function.handle_event(&call.caller, message).await;
        let word = match &outcome {
            Ok(Outcome::Success) => "success",
            Ok(Outcome::Retry) => "retry",
            Ok(Outcome::Drop) => "drop",
            Err(error) => word(error),
        };
        call.end(word, outcome.as_ref().err());
        outcome.map_err(|error| failure(&error))
    }

    fn open<'a>(&self, slot: &'a Slot, origin: &Origin<'_>) -> Result<Call<'a>, ApiError> {
        let name = slot.name();
        if origin.depth > DEEPEST {
            return Err(table::functions::too_deep(name, DEEPEST));
        }
        let Some(live) = slot.live() else {
            let why = slot.error().unwrap_or_else(|| "its module is being loaded".into());
            return Err(table::functions::not_loaded(name, &why));
        };
        let shared = self.shared();
        let span = (!shared.tracer.is_off()).then(|| {
            let mut span = shared.tracer.span("function", SpanKind::Server, origin.trace);
            if span.is_recording() {
                span.set_name(format!("function/{name}"));
                span.set_attribute("ottavo.function", name);
                span.set_attribute("ottavo.trigger", origin.cause.as_str());
            }
            span
        });
        let trace = span.as_ref().map(Span::context).or(origin.trace).filter(|context| context.is_valid());
        let trace =
            trace.map(|context| (context.traceparent(), context.tracestate().map(str::to_owned).unwrap_or_default()));
        let caller = Caller { function: slot.shared_name.clone(), depth: origin.depth, trace };
        slot.stats.under_way.fetch_add(1, Ordering::Relaxed);
        Ok(Call { slot, live, shared, span, caller, cause: origin.cause, started: Instant::now(), is_ended: false })
    }
}

/// A call under way.
struct Call<'a> {
    slot: &'a Slot,
    live: Arc<Live>,
    shared: Arc<crate::blocks::Shared>,
    span: Option<Span>,
    caller: Caller,
    cause: Cause,
    started: Instant,
    is_ended: bool,
}

impl Call<'_> {
    /// `outcome`: one word for measures.
    fn end(mut self, outcome: &'static str, error: Option<&Error>) {
        let (name, cause) = (self.slot.name(), self.cause.as_str());
        match error {
            Some(error @ (Error::Busy(_) | Error::Request(_) | Error::TooLong { .. })) => {
                tracing::warn!(target: SCOPE, "Function {name} ({cause}): {error}");
            }
            Some(error) => tracing::error!(target: SCOPE, "Function {name} ({cause}): {error}"),
            None => {}
        }
        if let (Some(span), Some(error)) = (&mut self.span, error) {
            span.set_status(Status::Error(error.brief()));
        }
        self.count(outcome);
    }

    fn count(&mut self, outcome: &'static str) {
        if std::mem::replace(&mut self.is_ended, true) {
            return;
        }
        let stats = &self.slot.stats;
        stats.under_way.fetch_sub(1, Ordering::Relaxed);
        stats.calls.fetch_add(1, Ordering::Relaxed);
        if !matches!(outcome, "success" | "drop" | "retry") {
            stats.failures.fetch_add(1, Ordering::Relaxed);
        }
        if outcome == "trap" {
            stats.traps.fetch_add(1, Ordering::Relaxed);
        }
        self.shared.metrics.function_called(&FunctionCall {
            function: self.slot.name(),
            trigger: self.cause.as_str(),
            outcome,
            elapsed: self.started.elapsed(),
        });
    }
}

impl Drop for Call<'_> {
    /// Nobody waits for the answer any more.
    fn drop(&mut self) {
        self.count("cancelled");
    }
}

/// A failure in one word.
fn word(error: &Error) -> &'static str {
    match error {
        Error::Busy(_) => "busy",
        Error::OutOfTime { .. } => "timeout",
        Error::OutOfMemory { .. } | Error::OutOfFuel { .. } => "limit",
        Error::Request(_) | Error::TooLong { .. } => "refused",
        Error::Trap { .. } => "trap",
        _ => "error",
    }
}

/// A failure as callers see it: without the functions that the guest was in.
fn failure(error: &Error) -> ApiError {
    let text = error.brief();
    match error {
        Error::Busy(_) => table::functions::busy(text),
        Error::OutOfTime { .. } => table::functions::out_of_time(text),
        Error::OutOfMemory { .. } | Error::OutOfFuel { .. } => table::functions::out_of_limits(text),
        Error::Request(_) => table::functions::bad_request(text),
        Error::TooLong { .. } => table::functions::too_long(text),
        _ => table::functions::failed(text),
    }
}
