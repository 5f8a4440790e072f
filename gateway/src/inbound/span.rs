//! The span of a delivery: its parent is the publisher's.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{HeaderMap, HeaderValue, StatusCode};
use tonic::Code;

use crate::telemetry::Tracer;
use crate::telemetry::trace::{Span, SpanContext, SpanKind, Status};

/// `None` when tracing is off: then no trace header is sent.
pub struct DeliverySpan(Option<Span>);

impl DeliverySpan {
    /// `trace`: the event's `traceparent`.
    pub fn start(tracer: &Tracer, topic: &str, trace: Option<&str>) -> Self {
        // As in daprd, an event without any trace attribute begins no span.
        let Some(trace) = trace.filter(|_| !tracer.is_off()) else { return Self(None) };
        let parent = SpanContext::from_traceparent(trace);
        let mut span = tracer.span("pubsub", SpanKind::Client, parent.as_ref());
        if span.is_recording() {
            span.set_name(format!("pubsub/{topic}"));
            span.set_attribute("messaging.system", "pubsub");
            span.set_attribute("messaging.destination.name", topic);
        }
        Self(Some(span))
    }

    pub fn put_http(&self, headers: &mut HeaderMap) {
        let Some(span) = &self.0 else { return };
        put(headers, "traceparent", &span.context().traceparent());
        if let Some(state) = span.context().tracestate() {
            put(headers, "tracestate", state);
        }
    }

    pub fn put_grpc(&self, headers: &mut HeaderMap) {
        self.put_http(headers);
        if let Some(binary) = self.0.as_ref().and_then(|span| span.context().to_binary()) {
            put(headers, "grpc-trace-bin", &STANDARD_NO_PAD.encode(binary));
        }
    }

    pub fn end_http(mut self, status: StatusCode) {
        if let Some(span) = &mut self.0 {
            span.set_status(Status::from_http(status.as_u16()));
        }
    }

    /// `failure`: the code of a callback that failed.
    pub fn end_grpc(mut self, failure: Option<Code>) {
        if let (Some(span), Some(code)) = (&mut self.0, failure) {
            span.set_status(Status::Error(crate::error::go_code_name(code).to_owned()));
        }
    }
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
