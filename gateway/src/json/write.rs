//! JSON text as Go's encoder writes it.

use std::fmt::Write as _;

use super::Json;
use super::plain::plain;

pub(super) fn write(json: &Json, out: &mut String, number: fn(&str) -> String) {
    match json {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(text) => out.push_str(&number(text)),
        Json::String(text) => escape_into(text, out),
        Json::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out, number);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                escape_into(name, out);
                out.push(':');
                write(value, out, number);
            }
            out.push('}');
        }
    }
}

/// A quoted string with `<`, `>`, `&` and the two line separators escaped.
pub fn escape_into(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    // What stands for itself is copied in one piece.
    loop {
        let (unchanged, special) = rest.split_at(plain(rest.as_bytes(), may_need_escape));
        out.push_str(unchanged);
        let mut characters = special.chars();
        let Some(character) = characters.next() else { break };
        rest = characters.as_str();
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => {
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Whether a character that begins with this byte may be written otherwise; the line separators begin with 0xe2.
fn may_need_escape(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\') | (byte == b'<') | (byte == b'>') | (byte == b'&') | (byte == 0xe2)
}

/// A number as Go prints it after reading it as a float64, unless that would change its value: daprd loses digits
/// beyond 2^53, Ottavo does not.
pub fn go_number(text: &str) -> String {
    let Ok(value) = text.parse::<f64>() else { return text.to_owned() };
    if !value.is_finite() {
        return text.to_owned();
    }
    let is_integer = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if is_integer && value.abs() >= 9_007_199_254_740_992.0 {
        return text.to_owned();
    }
    let printed = go_float(value);
    let significant = text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit).count();
    if significant > 17 { text.to_owned() } else { printed }
}

/// Go's float format in JSON: plain digits, an exponent below 1e-6 and from 1e21 on.
pub fn go_float(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".to_owned() } else { "0".to_owned() };
    }
    let magnitude = value.abs();
    if (1e-6..1e21).contains(&magnitude) {
        return format!("{value}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_whole;

    fn rewritten(text: &str) -> String {
        parse_whole(text.as_bytes()).unwrap().to_text()
    }

    #[test]
    fn text_is_compact_sorted_and_escaped() {
        assert_eq!(
            rewritten(r#"{ "b" : [1, true, null], "a": "<&>" }"#),
            r#"{"a":"\u003c\u0026\u003e","b":[1,true,null]}"#
        );
    }

    #[test]
    fn numbers_read_as_go_prints_them_but_never_lose_digits() {
        assert_eq!(rewritten("1.50"), "1.5");
        assert_eq!(rewritten("1e2"), "100");
        assert_eq!(rewritten("1e21"), "1e+21");
        assert_eq!(rewritten("0.0000001"), "1e-7");
        assert_eq!(rewritten("9007199254740993"), "9007199254740993");
        assert_eq!(rewritten("-0"), "-0");
    }
}
