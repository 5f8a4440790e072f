//! A span per request, and the trace headers of its answer (as daprd 1.18, tracing of the API servers).

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use tower::Layer;

use super::ServeConnection;
use super::api_log::grpc_code;
use crate::body::Body;
use crate::grpc::frame;
use crate::http::{Answered, respond};
use crate::operation::{CallContext, Front};
use crate::telemetry::Tracer;
use crate::telemetry::trace::{Span, SpanContext, SpanKind, Status, baggage};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const TRACE_BIN: HeaderName = HeaderName::from_static("grpc-trace-bin");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

#[derive(Clone)]
pub struct Trace {
    pub tracer: Tracer,
    pub front: Front,
}

impl<S> Layer<S> for Trace {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced { inner, tracer: self.tracer.clone(), front: self.front }
    }
}

#[derive(Clone)]
pub struct Traced<S> {
    inner: S,
    tracer: Tracer,
    front: Front,
}

impl<S: ServeConnection> ServeConnection for Traced<S> {
    async fn serve(&self, mut request: Request<Body>) -> Response<Body> {
        let mut context = CallContext::new(self.front);
        let is_traced = !self.tracer.is_off() && !is_health(request.uri().path());
        if !is_traced {
            request.extensions_mut().insert(context);
            return self.inner.serve(request).await;
        }
        let baggage = match given_baggage(request.headers()) {
            Ok(baggage) => baggage,
            Err(error) => return self.refuse(&error),
        };
        let parent = match self.front {
            Front::Http => http_parent(request.headers()),
            Front::Grpc => grpc_parent(request.headers()),
        };
        let mut span = self.tracer.span(request.uri().path(), SpanKind::Client, parent.as_ref());
        context.trace = Some(span.context().clone());
        context.baggage = baggage.clone();
        request.extensions_mut().insert(context);
        if span.is_recording() {
            self.describe_request(&mut span, &request);
        }
        let mut response = self.inner.serve(request).await;
        if span.is_recording() {
            self.describe_response(&mut span, &response);
        }
        self.answer(span.context(), &mut response);
        if let Some(baggage) =
            baggage.filter(|_| self.front == Front::Http).and_then(|text| HeaderValue::from_str(&text).ok())
        {
            response.headers_mut().insert(BAGGAGE, baggage);
        }
        response
    }
}

impl<S> Traced<S> {
    fn refuse(&self, error: &str) -> Response<Body> {
        match self.front {
            Front::Http => respond::text(StatusCode::BAD_REQUEST, error),
            Front::Grpc => frame::status(&tonic::Status::invalid_argument(error)),
        }
    }

    fn describe_request(&self, span: &mut Span, request: &Request<Body>) {
        let path = request.uri().path();
        let api = match self.front {
            Front::Http => format!("{} {path}", request.method()),
            Front::Grpc => path.to_owned(),
        };
        span.set_attribute("dapr.protocol", if self.front == Front::Http { "http" } else { "grpc" });
        span.set_attribute("dapr.api", api);
        if self.front == Front::Http {
            span.set_attribute("http.request.method", request.method().as_str());
            let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
            span.set_attribute("url.full", format!("http://{host}{}", request.uri()));
            if let Some((address, port)) = host.rsplit_once(':') {
                span.set_attribute("server.address", address);
                span.set_attribute("server.port", port);
            }
            http_attributes(span, request);
        }
        for (name, value) in request.headers() {
            let name = name.as_str();
            if name.starts_with("dapr-") && !name.ends_with("-bin") && name != "dapr-api-token" {
                span.set_attribute(name.to_owned(), String::from_utf8_lossy(value.as_bytes()));
            }
        }
    }

    fn describe_response(&self, span: &mut Span, response: &Response<Body>) {
        match self.front {
            Front::Http => {
                span.set_attribute("dapr.status_code", response.status().as_str());
                span.set_status(Status::from_http(response.status().as_u16()));
                if let Some(name) = response.extensions().get::<SpanName>() {
                    span.set_name(name.0.clone());
                }
                if let Some(answered) = response.extensions().get::<Answered>()
                    && answered.row.group == "invoke"
                {
                    span.set_attribute("rpc.service", "ServiceInvocation");
                }
            }
            Front::Grpc => {
                let code = grpc_code(response);
                if code != 0 {
                    span.set_status(Status::Error(crate::error::go_code_name(tonic::Code::from(code)).to_owned()));
                }
            }
        }
    }

    /// The headers by which the caller learns the span.
    fn answer(&self, context: &SpanContext, response: &mut Response<Body>) {
        match self.front {
            Front::Http => {
                if response.headers().contains_key(TRACEPARENT) {
                    return;
                }
                put(response.headers_mut(), TRACEPARENT, &context.traceparent());
                if let Some(state) = context.tracestate() {
                    put(response.headers_mut(), TRACESTATE, state);
                }
            }
            Front::Grpc => {
                let quiet = response.extensions().get::<NoTraceHeader>().is_some();
                if let Some(binary) = context.to_binary().filter(|_| !quiet) {
                    put(response.headers_mut(), TRACE_BIN, &STANDARD_NO_PAD.encode(binary));
                }
            }
        }
    }
}

/// Set on a response: the name that its span gets.
#[derive(Clone)]
pub struct SpanName(pub String);

/// Set on a gRPC response whose caller gets no `grpc-trace-bin` (invocations and proxied calls).
#[derive(Clone, Copy)]
pub struct NoTraceHeader;

/// daprd looks at the decoded path.
fn is_health(path: &str) -> bool {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy().contains("/healthz")
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn http_parent(headers: &HeaderMap) -> Option<SpanContext> {
    SpanContext::from_headers(text(headers, &TRACEPARENT), text(headers, &TRACESTATE))
}

/// The binary form goes before the text.
fn grpc_parent(headers: &HeaderMap) -> Option<SpanContext> {
    let binary = text(headers, &TRACE_BIN).and_then(|text| {
        let bytes = STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        SpanContext::from_binary(&bytes)
    });
    binary.or_else(|| http_parent(headers))
}

/// The caller's baggage, several lines joined.
fn given_baggage(headers: &HeaderMap) -> Result<Option<String>, String> {
    let lines: Vec<&str> = headers.get_all(BAGGAGE).iter().filter_map(|line| line.to_str().ok()).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let joined = lines.join(",");
    if joined.is_empty() {
        return Ok(None);
    }
    baggage::validate(&joined).map_err(|error| format!("invalid baggage header: {error}"))?;
    Ok(Some(joined))
}

/// What the paths of the API tell about a call.
fn http_attributes(span: &mut Span, request: &Request<Body>) {
    let path = request.uri().path();
    let mut segments = path.split('/').skip(2);
    let (block, first, second) = (segments.next(), segments.next().unwrap_or_default(), segments.next());
    match block {
        Some(block @ ("state" | "secrets" | "bindings")) => {
            span.set_attribute("db.system", block);
            span.set_attribute("db.name", first);
            span.set_attribute("db.statement", format!("{} {path}", request.method()));
            span.set_attribute("db.connection_string", block);
        }
        Some("publish") => {
            span.set_attribute("messaging.system", "pubsub");
            span.set_attribute("messaging.destination.name", second.unwrap_or_default());
        }
        Some("invoke") => {
            span.set_attribute("rpc.service", "ServiceInvocation");
            span.set_attribute("net.peer.name", first);
        }
        Some("actors") => {
            span.set_attribute("rpc.service", "ServiceInvocation");
            span.set_attribute("dapr.actor", format!("{first}.{}", second.unwrap_or_default()));
        }
        _ => {}
    }
}
