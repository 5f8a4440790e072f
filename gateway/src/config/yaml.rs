//! YAML to JSON values, typed as YAML 1.1 does (`yes`, `on` and `y` are truth values), as Go's parsers do.

use serde_json::Value;
use serde_saphyr::DuplicateKeyPolicy;

/// A text that is no YAML, or not one document; in the words of Go's parsers, which name the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Parses one document of a resource; JSON is YAML too. An empty document is `null`, the last of several equal keys
/// wins.
pub fn parse(text: &str) -> Result<Value, YamlError> {
    parse_with(text, DuplicateKeyPolicy::LastWins)
        .map_err(|reason| YamlError(format!("error converting YAML to JSON: {reason}")))
}

/// Parses a configuration: as [`parse`], but a key that is there twice in one mapping is an error.
pub fn parse_unique(text: &str) -> Result<Value, YamlError> {
    parse_with(text, DuplicateKeyPolicy::Error).map_err(YamlError)
}

/// The text of the first document; the rest, from a line of `---` on, is not looked at.
pub fn first_document(text: &str) -> &str {
    // A marker at the very start opens the first document.
    let from = if text.starts_with("---") { 3 } else { 0 };
    let end = text[from..].find("\n---").map_or(text.len(), |at| from + at + 1);
    &text[..end]
}

fn parse_with(text: &str, duplicate_keys: DuplicateKeyPolicy) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        duplicate_keys: duplicate_keys,
        strict_booleans: false,
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.to_string();
        match error.location() {
            Some(at) => {
                let place = format!(" at line {}, column {}", at.line(), at.column());
                format!("yaml: line {}: {}", at.line(), message.strip_suffix(&place).unwrap_or(&message))
            }
            None => format!("yaml: {message}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_are_typed_as_in_yaml_1_1() {
        assert_eq!(
            parse("a: yes\nb: on\nc: 'yes'\nd: 010\ne: 0x1F\nf: 1.5\ng: ~\nh: 1_000\ni: off\nj: 2024-01-02\nk: y\n")
                .unwrap(),
            json!({"a": true, "b": true, "c": "yes", "d": 8, "e": 31, "f": 1.5, "g": null, "h": 1000, "i": false,
                   "j": "2024-01-02", "k": true})
        );
    }

    #[test]
    fn json_is_yaml() {
        assert_eq!(parse(r#"{"a": [1, {"b": null}]}"#).unwrap(), json!({"a": [1, {"b": null}]}));
    }

    #[test]
    fn empty_documents_are_null() {
        assert_eq!(parse("").unwrap(), Value::Null);
        assert_eq!(parse("# only a comment\n").unwrap(), Value::Null);
    }

    #[test]
    fn anchors_and_merges_resolve() {
        assert_eq!(
            parse("base: &b {x: 1}\nuse:\n  <<: *b\n  y: 2\n").unwrap(),
            json!({"base": {"x": 1}, "use": {"x": 1, "y": 2}})
        );
    }

    #[test]
    fn first_documents() {
        assert_eq!(first_document("a: 1\n---\nb: 2\n"), "a: 1\n");
        assert_eq!(first_document("---\na: 1\n---\nb: 2\n"), "---\na: 1\n");
        assert_eq!(first_document("a: 1"), "a: 1");
    }

    #[test]
    fn equal_keys() {
        assert_eq!(parse("a: 1\na: 2\n").unwrap(), json!({"a": 2}));
        assert!(parse_unique("a: 1\na: 2\n").is_err());
    }

    #[test]
    fn broken_text_is_an_error() {
        assert_eq!(
            parse("a: 1\nb: c: d\n").unwrap_err().to_string(),
            "error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context"
        );
        assert_eq!(
            parse_unique("a: 1\nb: c: d\n").unwrap_err().to_string(),
            "yaml: line 2: mapping values are not allowed in this context"
        );
        assert!(parse("a: [1").is_err());
        assert!(parse("a:\n\t- x").is_err());
    }
}
