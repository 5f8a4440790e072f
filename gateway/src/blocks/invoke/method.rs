//! Names of methods: what they may hold, and their one form (as daprd 1.18).
//!
//! A method is normalised before access control looks at it and before it is sent, so that both see the same.

use std::fmt::Write;

use crate::app::url::clean;

/// A name that is refused. The text is daprd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("{what} contains forbidden character: {}", go_quote(.name))]
    Forbidden { what: &'static str, name: String },
    #[error("{what} contains control character at position {position}: {}", go_quote(.name))]
    Control { what: &'static str, position: usize, name: String },
    #[error("{what} is a path traversal sequence: {}", go_quote(.name))]
    Traversal { what: &'static str, name: String },
}

/// A method's path in its one form: slashes and dots resolved, nothing above the root.
pub fn normalize(method: &str) -> Result<String, NameError> {
    check("method", method, b"#?\0")?;
    let cleaned = clean(method);
    let mut path: &str = &cleaned;
    while let Some(below) = path.strip_prefix("../") {
        path = below;
    }
    Ok(if matches!(path, "." | "..") { String::new() } else { path.to_owned() })
}

/// Whether a name (of a timer, a reminder) can stand in a path as one segment.
pub fn validate_name(name: &str) -> Result<(), NameError> {
    check("name", name, b"#?\0/\\")?;
    if matches!(name, "." | "..") {
        return Err(NameError::Traversal { what: "name", name: name.to_owned() });
    }
    Ok(())
}

fn check(what: &'static str, name: &str, forbidden: &[u8]) -> Result<(), NameError> {
    if name.bytes().any(|byte| forbidden.contains(&byte)) {
        return Err(NameError::Forbidden { what, name: name.to_owned() });
    }
    match name.bytes().position(|byte| byte.is_ascii_control()) {
        Some(position) => Err(NameError::Control { what, position, name: name.to_owned() }),
        None => Ok(()),
    }
}

/// A text in quotes as Go's `%q` prints it.
pub fn go_quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            other if other.is_ascii_control() => {
                // Writing to a text does not fail.
                let _ = write!(out, "\\x{:02x}", u32::from(other));
            }
            other if other.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_have_one_form() {
        for (given, form) in [
            ("", ""),
            (".", ""),
            ("..", ""),
            ("a/b", "a/b"),
            ("/a//b/", "/a/b"),
            ("a/../b", "b"),
            ("../../other", "other"),
            ("admin/../../public", "public"),
            ("test%2Fstream", "test%2Fstream"),
            ("test%stream", "test%stream"),
            ("test\\stream", "test\\stream"),
            ("/..", "/"),
        ] {
            assert_eq!(normalize(given).unwrap(), form, "{given:?}");
        }
    }

    #[test]
    fn what_could_mislead_is_refused() {
        for (given, text) in [
            ("a?b", "method contains forbidden character: \"a?b\""),
            ("a\0b", "method contains forbidden character: \"a\\x00b\""),
            ("a\nb", "method contains control character at position 1: \"a\\nb\""),
            ("a\u{7f}", "method contains control character at position 1: \"a\\x7f\""),
        ] {
            assert_eq!(normalize(given).unwrap_err().to_string(), text);
        }
        assert!(validate_name("a/b").is_err());
        assert_eq!(validate_name("..").unwrap_err().to_string(), "name is a path traversal sequence: \"..\"");
        assert!(validate_name("a.b").is_ok());
    }
}
