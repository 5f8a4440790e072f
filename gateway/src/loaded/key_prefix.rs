//! How an application's keys become keys of the store (as daprd 1.18, `keyPrefix`).

use crate::error::{ApiError, table};

const SEPARATOR: &str = "||";

/// The key prefix of one state store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyPrefix {
    /// `none`: keys are stored as they are.
    None,
    /// Everything else: `<text>||<key>`.
    Text(String),
}

impl KeyPrefix {
    /// From the component's `keyPrefix`. `namespace` is the environment's, empty when unset.
    ///
    /// # Errors
    /// A prefix that holds the separator.
    pub fn new(property: Option<&str>, store: &str, app_id: &str, namespace: &str) -> Result<Self, components::Error> {
        let Some(word) = property else { return Ok(Self::Text(app_id.to_owned())) };
        let text = match word.to_ascii_lowercase().as_str() {
            "none" => return Ok(Self::None),
            "appid" => app_id.to_owned(),
            "name" => store.to_owned(),
            "namespace" if namespace.is_empty() => app_id.to_owned(),
            "namespace" => format!("{namespace}.{app_id}"),
            other => other.to_owned(),
        };
        if text.contains(SEPARATOR) {
            return Err(components::Error::config(format!("input key/keyPrefix '{text}' can't contain '||'")));
        }
        Ok(Self::Text(text))
    }

    /// The stored form of an application's key.
    pub fn stored(&self, store: &str, key: &str) -> Result<String, ApiError> {
        if key.contains(SEPARATOR) {
            return Err(table::state::illegal_key(store, key));
        }
        Ok(match self {
            Self::None => key.to_owned(),
            Self::Text(prefix) => [prefix, SEPARATOR, key].concat(),
        })
    }
}

/// The application's form of a stored key: what stands between the first two separators, or the key without any.
pub fn original_key(stored: &str) -> &str {
    stored.split(SEPARATOR).nth(1).unwrap_or(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(property: Option<&str>, namespace: &str) -> String {
        KeyPrefix::new(property, "shop", "app", namespace).unwrap().stored("shop", "k").unwrap()
    }

    #[test]
    fn strategies_prefix_as_daprd_does() {
        assert_eq!(stored(None, ""), "app||k");
        assert_eq!(stored(Some("appid"), "prod"), "app||k");
        assert_eq!(stored(Some("NAME"), ""), "shop||k");
        assert_eq!(stored(Some("namespace"), "prod"), "prod.app||k");
        assert_eq!(stored(Some("namespace"), ""), "app||k");
        assert_eq!(stored(Some("none"), ""), "k");
        assert_eq!(stored(Some("My"), ""), "my||k");
        assert_eq!(stored(Some(""), ""), "||k");
    }

    #[test]
    fn keys_and_prefixes_with_the_separator_are_refused() {
        assert!(KeyPrefix::new(Some("a||b"), "s", "app", "").is_err());
        assert!(KeyPrefix::None.stored("s", "a||b").is_err());
    }

    #[test]
    fn original_is_the_second_part() {
        assert_eq!(original_key("app||k"), "k");
        assert_eq!(original_key("k"), "k");
    }
}
