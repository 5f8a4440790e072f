//! Headers and metadata on their way through: what stays, what is renamed, what goes (as daprd 1.18).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use http::header::{
    ACCEPT, ACCEPT_CHARSET, ACCEPT_LANGUAGE, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, DATE,
    EXPECT, FROM, HOST, HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE, MAX_FORWARDS,
    ORIGIN, PRAGMA, REFERER, USER_AGENT, VIA, WARNING,
};
use http::{HeaderMap, HeaderValue};

use crate::client::hop;
use crate::operation::Front;
use crate::telemetry::trace::SpanContext;

pub const DESTINATION: HeaderName = HeaderName::from_static("destination-app-id");
pub const CALLER_APP: HeaderName = HeaderName::from_static("dapr-caller-app-id");
pub const CALLER_NAMESPACE: HeaderName = HeaderName::from_static("dapr-caller-namespace");
pub const CALLEE_APP: HeaderName = HeaderName::from_static("dapr-callee-app-id");
pub const AUTHORITY: HeaderName = HeaderName::from_static("dapr-authority");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const TRACE_BIN: HeaderName = HeaderName::from_static("grpc-trace-bin");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// IANA's permanent request headers, which gRPC metadata has with a `dapr-` in front.
const PERMANENT: [HeaderName; 22] = [
    ACCEPT,
    ACCEPT_CHARSET,
    ACCEPT_LANGUAGE,
    ACCEPT_RANGES,
    CACHE_CONTROL,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    COOKIE,
    DATE,
    EXPECT,
    FROM,
    HOST,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    HeaderName::from_static("if-schedule-tag-match"),
    IF_UNMODIFIED_SINCE,
    MAX_FORWARDS,
    ORIGIN,
    PRAGMA,
    REFERER,
    VIA,
];

/// Headers for an HTTP application, or for an HTTP caller: what only gRPC knows is renamed or goes.
pub fn for_http(headers: &mut HeaderMap) {
    hop::strip(headers);
    for name in [&DESTINATION, &CONTENT_LENGTH, &CONTENT_TYPE, &HOST] {
        headers.remove(name);
    }
    if headers.get_all(BAGGAGE).iter().nth(1).is_some()
        && let Some(first) = headers.get(BAGGAGE).cloned()
    {
        headers.insert(BAGGAGE, first);
    }
    let odd: Vec<HeaderName> =
        headers.keys().filter(|name| is_binary(name) || name.as_str().starts_with("grpc-")).cloned().collect();
    for name in odd {
        if is_binary(&name) {
            headers.remove(&name);
        } else {
            rename(headers, &name, "dapr-");
        }
    }
}

/// Metadata for a gRPC application, or for a gRPC caller.
pub fn for_grpc(mut headers: HeaderMap, origin: Front) -> HeaderMap {
    headers.remove(DESTINATION);
    // A gRPC library sets these by itself.
    for name in [&USER_AGENT, &AUTHORITY] {
        headers.remove(name);
    }
    match origin {
        Front::Grpc => {
            headers.remove(CONTENT_TYPE);
            headers.remove(CONTENT_LENGTH);
            hop::strip(&mut headers);
        }
        Front::Http => {
            hop::strip(&mut headers);
            for name in &PERMANENT {
                rename(&mut headers, name, "dapr-");
            }
            rename(&mut headers, &WARNING, "dapr-");
            encode_binary(&mut headers);
        }
    }
    headers
}

/// Names the trace of the call: `None` leaves what the caller sent.
pub fn put_trace_http(headers: &mut HeaderMap, trace: Option<&SpanContext>) {
    let Some(trace) = trace else { return };
    put(headers, TRACEPARENT, &trace.traceparent());
    match trace.tracestate() {
        Some(state) => put(headers, TRACESTATE, state),
        None => drop(headers.remove(TRACESTATE)),
    }
}

/// The same in both forms that gRPC applications know.
pub fn put_trace_grpc(headers: &mut HeaderMap, trace: Option<&SpanContext>) {
    put_trace_http(headers, trace);
    if let Some(trace) = trace {
        // Empty, as daprd's, for a span that nobody records.
        let binary = trace.to_binary().map_or_else(String::new, |binary| STANDARD_NO_PAD.encode(binary));
        put(headers, TRACE_BIN, &binary);
    }
}

/// Whether a header's value is binary where metadata is concerned.
pub fn is_binary(name: &HeaderName) -> bool {
    name.as_str().ends_with("-bin")
}

/// HTTP values know no binary: such names get their value in base64.
fn encode_binary(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| is_binary(name)).cloned().collect();
    for name in names {
        let values: Vec<String> = headers.get_all(&name).iter().map(|value| STANDARD.encode(value)).collect();
        headers.remove(&name);
        for value in values {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.append(name.clone(), value);
            }
        }
    }
}

/// Puts `prefix` in front of a name, all its values with it.
fn rename(headers: &mut HeaderMap, name: &HeaderName, prefix: &str) {
    let values: Vec<HeaderValue> = headers.get_all(name).iter().cloned().collect();
    if values.is_empty() {
        return;
    }
    headers.remove(name);
    if let Ok(renamed) = HeaderName::from_bytes(format!("{prefix}{name}").as_bytes()) {
        for value in values {
            headers.append(renamed.clone(), value);
        }
    }
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    fn listed(headers: &HeaderMap) -> Vec<String> {
        let mut lines: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines
    }

    #[test]
    fn http_applications_see_no_grpc_and_no_hops() {
        let mut headers = map(&[
            ("grpc-timeout", "1S"),
            ("x-foo-bin", "AAEC"),
            ("connection", "x-drop"),
            ("x-drop", "1"),
            ("destination-app-id", "x"),
            ("dapr-caller-app-id", "given"),
            ("content-length", "3"),
            ("accept", "*/*"),
        ]);
        headers.append(BAGGAGE, HeaderValue::from_static("a=1"));
        headers.append(BAGGAGE, HeaderValue::from_static("b=2"));
        for_http(&mut headers);
        assert_eq!(
            listed(&headers),
            ["accept: */*", "baggage: a=1", "dapr-caller-app-id: given", "dapr-grpc-timeout: 1S"]
        );
    }

    #[test]
    fn permanent_headers_are_prefixed_for_grpc() {
        let headers =
            map(&[("accept", "*/*"), ("x-own", "1"), ("authorization", "t"), ("user-agent", "ua"), ("date", "d")]);
        assert_eq!(
            listed(&for_grpc(headers, Front::Http)),
            ["authorization: t", "dapr-accept: */*", "dapr-date: d", "x-own: 1"]
        );
        let metadata = map(&[("accept", "*/*"), ("content-type", "application/grpc"), ("x-a-bin", "AAEC")]);
        assert_eq!(listed(&for_grpc(metadata, Front::Grpc)), ["accept: */*", "x-a-bin: AAEC"]);
    }

    #[test]
    fn an_absent_trace_leaves_the_callers() {
        let mut headers = map(&[("traceparent", "as given")]);
        put_trace_http(&mut headers, None);
        assert_eq!(listed(&headers), ["traceparent: as given"]);
        put_trace_grpc(&mut headers, Some(&SpanContext::default()));
        assert_eq!(
            listed(&headers),
            ["grpc-trace-bin: ", "traceparent: 00-00000000000000000000000000000000-0000000000000000-00"]
        );
    }
}
