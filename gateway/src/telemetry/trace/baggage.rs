//! The W3C `baggage` header: checked, never interpreted.

use std::fmt;

/// At most so many members, and so many bytes.
const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// Everything that is wrong with a header, one line each. daprd answers with `invalid baggage header: ` before it
/// (HTTP 400, gRPC `InvalidArgument`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaggageError(Vec<String>);

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for BaggageError {}

/// Checks a header; several lines are joined with `,` before.
pub fn validate(header: &str) -> Result<(), BaggageError> {
    parse(header).map(drop)
}

/// The header as gRPC calls get it back: whitespace gone, values percent-encoded anew, the last of equal keys.
pub fn canonical(header: &str) -> Result<String, BaggageError> {
    let members = parse(header)?;
    Ok(members.iter().map(|(key, rest)| format!("{key}={rest}")).collect::<Vec<_>>().join(","))
}

/// Members as key and everything behind it.
fn parse(header: &str) -> Result<Vec<(String, String)>, BaggageError> {
    let mut members: Vec<(String, String)> = Vec::new();
    let mut errors = Vec::new();
    let mut bytes = 0;
    if header.is_empty() {
        return Ok(members);
    }
    for text in header.split(',') {
        if members.len() >= MAX_MEMBERS {
            errors.push("too many list-members in baggage-string".to_owned());
            break;
        }
        match parse_member(text) {
            Err(error) => errors.push(error),
            Ok((key, rest)) => {
                bytes += key.len() + rest.len() + 2;
                // One comma less than members.
                if bytes > MAX_BYTES + 1 {
                    errors.push("baggage-string too large".to_owned());
                    break;
                }
                members.retain(|(known, _)| *known != key);
                members.push((key, rest));
            }
        }
    }
    if errors.is_empty() { Ok(members) } else { Err(BaggageError(errors)) }
}

fn parse_member(text: &str) -> Result<(String, String), String> {
    let (pair, properties) = match text.split_once(';') {
        Some((pair, properties)) => (pair, Some(properties)),
        None => (text, None),
    };
    let mut rest = String::new();
    for property in properties.into_iter().flat_map(|properties| properties.split(';')) {
        let parsed =
            parse_property(property).ok_or_else(|| format!("invalid baggage list-member property: {property:?}"))?;
        rest.push(';');
        rest.push_str(&parsed);
    }
    let (key, value) = pair.split_once('=').ok_or_else(|| format!("invalid baggage list-member: {text:?}"))?;
    let key = key.trim();
    if key.is_empty() || !key.bytes().all(is_key_byte) {
        return Err(format!("invalid key: {key:?}"));
    }
    let trimmed = value.trim();
    if !trimmed.bytes().all(is_value_byte) {
        return Err(format!("invalid value: {value:?}"));
    }
    let decoded = unescape(trimmed).map_err(|escape| format!("invalid value: invalid URL escape {escape:?}"))?;
    Ok((key.to_owned(), escape(&decoded) + &rest))
}

/// `key` or `key=value`, spaces around both allowed; gives it without them.
fn parse_property(text: &str) -> Option<String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (text, None),
    };
    let space = [' ', '\t'];
    let key = key.trim_matches(space);
    if key.is_empty() || !key.bytes().all(is_key_byte) {
        return None;
    }
    let Some(value) = value.map(|value| value.trim_matches(space)) else { return Some(key.to_owned()) };
    let decoded = value.bytes().all(is_value_byte).then(|| unescape(value).ok())??;
    Some(format!("{key}={}", escape(&decoded)))
}

/// The characters of an HTTP token.
fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Printable ASCII without space, quote, comma, semicolon and backslash.
fn is_value_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)
}

/// Percent-decodes; the error is the broken escape.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
            let Some(digits) = digits else {
                return Err(String::from_utf8_lossy(&rest[..rest.len().min(3)]).into_owned());
            };
            let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default();
            out.push(u8::try_from(value(digits[0]) * 16 + value(digits[1])).unwrap_or_default());
            rest = &after[2..];
        } else {
            out.push(byte);
            rest = after;
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned().into_bytes())
}

fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if is_value_byte(byte) && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_headers_pass() {
        for header in ["", "a=1", "a=1,b=2;p;q=x", " a = 1 ; p = v ", "key1=value%201", "a="] {
            assert_eq!(validate(header), Ok(()), "{header}");
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (header, message) in [
            ("invalid-baggage", r#"invalid baggage list-member: "invalid-baggage""#),
            ("=1", r#"invalid key: """#),
            ("a=b c", r#"invalid value: "b c""#),
            ("a=%zz", r#"invalid value: invalid URL escape "%zz""#),
            ("a=1;", r#"invalid baggage list-member property: """#),
            ("x,y", "invalid baggage list-member: \"x\"\ninvalid baggage list-member: \"y\""),
        ] {
            assert_eq!(validate(header).unwrap_err().to_string(), message, "{header}");
        }
    }

    #[test]
    fn too_much_is_an_error() {
        let many: Vec<String> = (0..65).map(|index| format!("k{index}=v")).collect();
        assert_eq!(validate(&many.join(",")).unwrap_err().to_string(), "too many list-members in baggage-string");
        let large = format!("a={}", "x".repeat(MAX_BYTES));
        assert_eq!(validate(&large).unwrap_err().to_string(), "baggage-string too large");
    }

    #[test]
    fn canonical_headers_are_trimmed_and_encoded() {
        assert_eq!(canonical(" a = x%20y ; p = 1 , b=2,a=3").unwrap(), "b=2,a=3");
        assert_eq!(canonical("a=x%20y;p").unwrap(), "a=x%20y;p");
    }
}
