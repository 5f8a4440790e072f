//! The context of a span, and its forms on the wire: `traceparent`, `tracestate`, `grpc-trace-bin`.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ids::{SpanId, TraceId};

/// Names of headers and metadata.
pub const TRACEPARENT: &str = "traceparent";
pub const TRACESTATE: &str = "tracestate";
pub const BAGGAGE: &str = "baggage";
pub const GRPC_TRACE_BIN: &str = "grpc-trace-bin";

/// A longer `tracestate` is not passed on, as in daprd 1.18.
pub const MAX_TRACESTATE: usize = 512;

/// The flag of sampled spans.
const SAMPLED: u8 = 1;

/// Which trace a call belongs to and which span it comes from. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpanContext {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub flags: u8,
    pub state: TraceState,
}

/// A valid `tracestate`, as a list of members; empty for none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TraceState(Option<Arc<str>>);

impl SpanContext {
    pub fn is_valid(&self) -> bool {
        self.trace_id.is_valid() && self.span_id.is_valid()
    }

    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }

    pub fn with_sampled(mut self, sampled: bool) -> Self {
        self.flags = if sampled { self.flags | SAMPLED } else { self.flags & !SAMPLED };
        self
    }

    /// From a `traceparent` header. Versions up to 254; four sections, more only above version 0.
    pub fn from_traceparent(header: &str) -> Option<Self> {
        let mut sections = header.split('-');
        let version = sections.next().filter(|version| version.len() == 2)?;
        let [version] = decode_hex(version)?;
        let (trace_id, span_id) = (TraceId::parse(sections.next()?)?, SpanId::parse(sections.next()?)?);
        let flags = sections.next()?;
        // daprd takes the first byte of any even number of digits.
        let even = flags.len() % 2 == 0 && flags.bytes().all(|digit| digit.is_ascii_hexdigit());
        let [flags] = even.then(|| decode_hex(flags.get(..2)?))??;
        if version == 255 || (version == 0 && sections.next().is_some()) {
            return None;
        }
        Some(Self { trace_id, span_id, flags, state: TraceState::default() })
    }

    /// From both headers: a `tracestate` that is not valid is left out.
    pub fn from_headers(traceparent: Option<&str>, tracestate: Option<&str>) -> Option<Self> {
        let mut context = Self::from_traceparent(traceparent?)?;
        context.state = tracestate.map(TraceState::parse).unwrap_or_default();
        Some(context)
    }

    /// The `traceparent` header, always of version 00; zeros for an invalid context.
    pub fn traceparent(&self) -> String {
        self.traceparent_bytes().map(char::from).iter().collect()
    }

    /// The same, without allocating; plain ASCII.
    pub fn traceparent_bytes(&self) -> [u8; 55] {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let parts = [(3..35, &self.trace_id.0[..]), (36..52, &self.span_id.0), (53..55, &[self.flags])];
        for (range, bytes) in parts {
            for (digits, byte) in text[range].chunks_exact_mut(2).zip(bytes) {
                digits.copy_from_slice(&[hex_digit(byte >> 4), hex_digit(byte & 15)]);
            }
        }
        text
    }

    /// The `tracestate` header, when there is one that may be passed on.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_str().filter(|state| state.len() <= MAX_TRACESTATE)
    }

    /// From `grpc-trace-bin`: version 0, then trace id, span id and flags, each behind its field number. What follows
    /// the trace id may be missing.
    pub fn from_binary(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[0, 0])?;
        let (trace_id, mut rest) = rest.split_first_chunk::<16>()?;
        let mut context = Self { trace_id: TraceId(*trace_id), ..Self::default() };
        if let Some((span_id, after)) = rest.strip_prefix(&[1]).and_then(|rest| rest.split_first_chunk::<8>()) {
            context.span_id = SpanId(*span_id);
            rest = after;
        }
        if let Some(&flags) = rest.strip_prefix(&[2]).and_then(|rest| rest.first()) {
            context.flags = flags;
        }
        Some(context)
    }

    /// The value of `grpc-trace-bin`, before any base64; `None` for an empty context.
    pub fn to_binary(&self) -> Option<[u8; 29]> {
        if *self == Self::default() {
            return None;
        }
        let mut bytes = [0; 29];
        bytes[2..18].copy_from_slice(&self.trace_id.0);
        bytes[18] = 1;
        bytes[19..27].copy_from_slice(&self.span_id.0);
        bytes[27] = 2;
        bytes[28] = self.flags;
        Some(bytes)
    }
}

/// The lower-case digit of a value below 16.
fn hex_digit(value: u8) -> u8 {
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}

fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl TraceState {
    /// Up to 32 members `key=value` with W3C's characters, no key twice; anything else is no state.
    pub fn parse(header: &str) -> Self {
        let mut keys = BTreeSet::new();
        let mut members = Vec::new();
        for member in header.split(',').filter(|member| !member.is_empty()) {
            let Some((key, value)) = member.split_once('=') else { return Self::default() };
            let (key, value) = (key.trim_start_matches([' ', '\t']), value.trim_end_matches([' ', '\t']));
            if !is_key(key) || !is_value(value) || !keys.insert(key) || members.len() == 32 {
                return Self::default();
            }
            members.push(format!("{key}={value}"));
        }
        if members.is_empty() { Self::default() } else { Self(Some(members.join(",").into())) }
    }

    pub fn as_str(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

/// `simple-key` or `tenant@system` of the W3C recommendation.
fn is_key(key: &str) -> bool {
    let rest_ok = |rest: &str, max: usize| {
        rest.len() <= max
            && rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte))
    };
    let starts_lower =
        |part: &str, max: usize| part.starts_with(|c: char| c.is_ascii_lowercase()) && rest_ok(&part[1..], max);
    match key.split_once('@') {
        None => starts_lower(key, 255),
        Some((tenant, system)) => {
            let tenant_ok = tenant.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
            tenant_ok && rest_ok(&tenant[1..], 240) && starts_lower(system, 13)
        }
    }
}

fn is_value(value: &str) -> bool {
    let printable = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && !value.ends_with(' ') && value.bytes().all(printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn traceparents_read_and_print() {
        let context = SpanContext::from_traceparent(HEADER).unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.traceparent(), HEADER);
        assert_eq!(SpanContext::default().traceparent(), "00-00000000000000000000000000000000-0000000000000000-00");
    }

    #[test]
    fn versions_are_normalised_and_bounded() {
        let later = SpanContext::from_traceparent(&format!("{}-extra", HEADER.replacen("00", "cc", 1))).unwrap();
        assert_eq!(later.traceparent(), HEADER);
        for header in [
            "",
            &HEADER[..50],
            &HEADER.replacen("00", "ff", 1),
            &format!("{HEADER}-extra"),
            &HEADER.to_uppercase(),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
        ] {
            assert_eq!(SpanContext::from_traceparent(header), None, "{header}");
        }
    }

    #[test]
    fn binary_form_goes_there_and_back() {
        let context = SpanContext::from_traceparent(HEADER).unwrap();
        let bytes = context.to_binary().unwrap();
        assert_eq!(SpanContext::from_binary(&bytes), Some(context.clone()));
        let short = SpanContext::from_binary(&bytes[..18]).unwrap();
        assert_eq!((short.trace_id, short.is_valid()), (context.trace_id, false));
        assert_eq!(SpanContext::from_binary(&bytes[..10]), None);
        assert_eq!(SpanContext::from_binary(&[1; 29]), None);
        assert_eq!(SpanContext::default().to_binary(), None);
    }

    #[test]
    fn states_are_valid_or_nothing() {
        assert_eq!(TraceState::parse("a=1, b@c=2 ").as_str(), Some("a=1,b@c=2"));
        for header in ["", "novalue", "A=1", "a=1,a=2", "a=", "a=x=y"] {
            assert_eq!(TraceState::parse(header).as_str(), None, "{header}");
        }
    }

    #[test]
    fn long_states_are_not_passed_on() {
        let long: Vec<String> = (0..4).map(|index| format!("k{index}={}", "x".repeat(200))).collect();
        let context = SpanContext::from_headers(Some(HEADER), Some(&long.join(","))).unwrap();
        assert!(context.state.as_str().is_some());
        assert_eq!(context.tracestate(), None);
    }
}
