//! A property's value: any scalar or JSON, used as text.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

/// A value as written, kept as JSON. It may be a secret in plain text, so it never prints.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct DynamicValue(Value);

impl DynamicValue {
    pub fn new(value: impl Into<Value>) -> Self {
        Self(value.into())
    }

    /// The text that a component sees: strings without quotes, everything else in JSON form.
    pub fn text(&self) -> String {
        match &self.0 {
            Value::String(text) => text.clone(),
            other => to_json(other),
        }
    }
}

impl fmt::Debug for DynamicValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DynamicValue(..)")
    }
}

/// Compact JSON with object keys sorted and numbers as Go prints them.
pub fn to_json(value: &Value) -> String {
    let mut out = String::new();
    write_json(value, &mut out);
    out
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => out.push_str(&quoted(text)),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            out.push('{');
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&quoted(key));
                out.push(':');
                write_json(item, out);
            }
            out.push('}');
        }
    }
}

/// A JSON string as Go's encoder writes it: `<`, `>`, `&` and the two line separators escaped.
pub fn quoted(text: &str) -> String {
    let plain = Value::from(text).to_string();
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return plain;
    }
    let mut out = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        match c {
            '<' => out.push_str("\\u003c"),
            '>' => out.push_str("\\u003e"),
            '&' => out.push_str("\\u0026"),
            '\u{2028}' => out.push_str("\\u2028"),
            '\u{2029}' => out.push_str("\\u2029"),
            c => out.push(c),
        }
    }
    out
}

/// A number as Go's JSON encoder prints it: whole floats without a fraction, exponents only outside 1e-6..1e21.
pub fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => float_text(float),
        _ => number.to_string(),
    }
}

fn float_text(float: f64) -> String {
    let size = float.abs();
    if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{float:e}");
        // Go signs positive exponents: 1e+21.
        return match text.split_once('e') {
            Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
            _ => text,
        };
    }
    format!("{float}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_text() {
        for (value, text) in [
            (json!("plain"), "plain"),
            (json!(""), ""),
            (json!(6), "6"),
            (json!(5.5), "5.5"),
            (json!(2.0), "2"),
            (json!(1e21), "1e+21"),
            (json!(1e-7), "1e-7"),
            (json!(true), "true"),
            (json!({"b": 1, "a": ["<x>", null]}), r#"{"a":["\u003cx\u003e",null],"b":1}"#),
        ] {
            assert_eq!(DynamicValue::new(value).text(), text);
        }
    }

    #[test]
    fn values_never_print() {
        assert_eq!(format!("{:?}", DynamicValue::new("hunter2")), "DynamicValue(..)");
    }
}
