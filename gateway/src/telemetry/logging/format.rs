//! One line, as logrus writes it.

use std::fmt::Write;

use chrono::{DateTime, Local};

use crate::config::value::quoted;

/// The value of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Bool(bool),
}

/// A line before it is written. Fields are sorted by name; names do not repeat.
pub struct Line<'a> {
    pub time: DateTime<Local>,
    pub level: &'static str,
    pub message: &'a str,
    pub fields: &'a [(&'a str, Value)],
}

impl Line<'_> {
    /// `time=.. level=.. msg=..`, then the fields.
    pub fn text(&self) -> String {
        let mut out = String::with_capacity(256);
        push_pair(&mut out, "time", &self.timestamp());
        push_pair(&mut out, "level", self.level);
        push_pair(&mut out, "msg", self.message);
        for (name, value) in self.fields {
            push_pair(&mut out, name, &value.text());
        }
        out.push('\n');
        out
    }

    /// One JSON object with all names in alphabetical order.
    pub fn json(&self) -> String {
        let mut entries: Vec<(&str, String)> = self.fields.iter().map(|(name, value)| (*name, value.json())).collect();
        entries.push(("time", quoted(&self.timestamp())));
        entries.push(("level", quoted(self.level)));
        entries.push(("msg", quoted(self.message)));
        entries.sort_by_key(|(name, _)| *name);
        let mut out = String::with_capacity(256);
        for (name, value) in entries {
            out.push(if out.is_empty() { '{' } else { ',' });
            out.push_str(&quoted(name));
            out.push(':');
            out.push_str(&value);
        }
        out.push_str("}\n");
        out
    }

    /// RFC 3339 with as many digits of the second as there are, as Go's `RFC3339Nano`.
    fn timestamp(&self) -> String {
        let mut text = self.time.format("%Y-%m-%dT%H:%M:%S").to_string();
        let nanos = self.time.timestamp_subsec_nanos() % 1_000_000_000;
        if nanos > 0 {
            let digits = format!("{nanos:09}");
            text.push('.');
            text.push_str(digits.trim_end_matches('0'));
        }
        if self.time.offset().local_minus_utc() == 0 {
            text.push('Z');
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "{}", self.time.format("%:z"));
        }
        text
    }
}

impl Value {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Signed(number) => number.to_string(),
            Self::Unsigned(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Bool(truth) => truth.to_string(),
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            // JSON has neither infinities nor NaN.
            Self::Float(number) if !number.is_finite() => quoted(&number.to_string()),
            other => other.text(),
        }
    }
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(name);
    out.push('=');
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte)) {
        out.push_str(value);
    } else {
        push_quoted(out, value);
    }
}

/// A text in quotes, escaped as Go's `%q`.
fn push_quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if is_printable(c) => out.push(c),
            c => {
                let code = u32::from(c);
                // Writing to a string cannot fail.
                let _ = match code {
                    0..0x80 => write!(out, "\\x{code:02x}"),
                    0x80..0x1_0000 => write!(out, "\\u{code:04x}"),
                    _ => write!(out, "\\U{code:08x}"),
                };
            }
        }
    }
    out.push('"');
}

/// Whether Go prints a character as it is: no control, format or private character, and no space but the plain one.
fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !(c.is_control()
        || c.is_whitespace()
        || matches!(
            u32::from(c),
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x180e | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f
                | 0xe000..=0xf8ff | 0xfeff | 0xfff0..=0xfffb | 0xfffe..=0xffff | 0xe_0000..=0x10_ffff
        ))
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn line<'a>(message: &'a str, fields: &'a [(&'a str, Value)]) -> Line<'a> {
        let time = Local.timestamp_opt(1_795_493_273, 258_746_250).unwrap();
        Line { time, level: "info", message, fields }
    }

    #[test]
    fn text_is_logrus_text() {
        let fields = [
            ("app_id", Value::Text("x".into())),
            ("code", Value::Signed(204)),
            ("component", Value::Text("nr (mdns/v1)".into())),
            ("empty", Value::Text(String::new())),
        ];
        let text = line("said \"hi\"\nand…\u{a0}\u{1}", &fields).text();
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(time.starts_with("time=\"20") && time.contains(".25874625"), "{time}");
        assert_eq!(
            rest,
            "level=info msg=\"said \\\"hi\\\"\\nand…\\u00a0\\x01\" app_id=x code=204 component=\"nr (mdns/v1)\" empty=\n"
        );
    }

    #[test]
    fn single_words_have_no_quotes() {
        assert!(line("hello", &[]).text().ends_with("level=info msg=hello\n"));
    }

    #[test]
    fn json_is_in_alphabetical_order() {
        let fields = [
            ("app_id", Value::Text("x".into())),
            ("duration", Value::Unsigned(3)),
            ("type", Value::Text("log".into())),
        ];
        let json = line("a <b>", &fields).json();
        assert!(
            json.starts_with(r#"{"app_id":"x","duration":3,"level":"info","msg":"a \u003cb\u003e","time":"20"#),
            "{json}"
        );
        assert!(json.ends_with("\"type\":\"log\"}\n"), "{json}");
    }
}
