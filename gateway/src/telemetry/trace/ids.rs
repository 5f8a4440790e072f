//! Identifiers of traces and spans.

use std::fmt;

/// 16 bytes; all zero is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// 8 bytes; all zero is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// A new one, never all zero.
    pub fn random() -> Self {
        loop {
            let id = Self(rand::random());
            if id.is_valid() {
                return id;
            }
        }
    }

    pub fn is_valid(self) -> bool {
        self.0 != [0; 16]
    }

    /// From 32 lower-case hexadecimal digits, not all zero.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(lower_hex(text)?)).filter(|id| id.is_valid())
    }
}

impl SpanId {
    /// A new one, never all zero.
    pub fn random() -> Self {
        loop {
            let id = Self(rand::random());
            if id.is_valid() {
                return id;
            }
        }
    }

    pub fn is_valid(self) -> bool {
        self.0 != [0; 8]
    }

    /// From 16 lower-case hexadecimal digits, not all zero.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(lower_hex(text)?)).filter(|id| id.is_valid())
    }
}

fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_lower_case_hexadecimal() {
        let text = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(TraceId::parse(text).unwrap().to_string(), text);
        assert_eq!(TraceId::parse(&text.to_uppercase()), None);
        assert_eq!(TraceId::parse(&"0".repeat(32)), None);
        assert_eq!(SpanId::parse("00f067aa0ba902b7").unwrap().to_string(), "00f067aa0ba902b7");
        assert_eq!(SpanId::parse("00f067"), None);
    }

    #[test]
    fn random_ids_differ() {
        assert_ne!(TraceId::random(), TraceId::random());
        assert!(SpanId::random().is_valid());
    }
}
