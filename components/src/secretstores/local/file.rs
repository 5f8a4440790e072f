//! `secretstores.local.file`: secrets of one JSON file, read once when the store is built.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::component::{Built, InitContext, Spec};
use crate::secretstores::{Features, SecretData, SecretStore};
use crate::{Error, ErrorKind, Metadata, Result, go};

pub const PROPERTIES: &[&str] = &["secretsFile", "nestedSeparator", "multiValued"];

/// Reads the file; fails when it cannot be read or is no JSON object.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let path = spec.properties.get(&["secretsFile"]).unwrap_or_default();
    if path.is_empty() {
        return Err(Error::config("missing local secrets file in metadata"));
    }
    let separator = spec.properties.get(&["nestedSeparator"]).filter(|text| !text.is_empty()).unwrap_or(":");
    let multi_valued = spec.properties.flag(&["multiValued"]).unwrap_or_default();
    let bytes = tokio::fs::read(path).await.map_err(|error| Error::config(go::open_error(Path::new(path), &error)))?;
    // Go's reader replaces what is not UTF-8, so such files have loaded so far. The parser's error names a place, but
    // for a document of another type it would print the value: that case has a text of its own.
    let root = match serde_json::from_str(&String::from_utf8_lossy(&bytes)) {
        Ok(Value::Object(root)) => root,
        Ok(_) => return Err(Error::config(format!("secrets file {path} is not a JSON object"))),
        Err(error) => return Err(Error::config(format!("secrets file {path} is not JSON: {error}"))),
    };
    Ok(Built::SecretStore(Arc::new(LocalFile::new(root, separator, multi_valued))))
}

/// The store.
pub struct LocalFile {
    secrets: BTreeMap<String, SecretData>,
    multi_valued: bool,
}

impl LocalFile {
    fn new(root: Map<String, Value>, separator: &str, multi_valued: bool) -> Self {
        let mut secrets = BTreeMap::new();
        if multi_valued {
            for (name, value) in root {
                match value {
                    Value::String(text) => {
                        let data = SecretData::from([(name.clone(), text)]);
                        secrets.insert(name, data);
                    }
                    Value::Object(_) => {
                        let mut data = SecretData::new();
                        flatten(None, &value, separator, &mut data);
                        secrets.insert(name, data);
                    }
                    // daprd leaves everything else out.
                    _ => (),
                }
            }
        } else {
            let mut flat = SecretData::new();
            flatten(None, &Value::Object(root), separator, &mut flat);
            for (name, value) in flat {
                let data = SecretData::from([(name.clone(), value)]);
                secrets.insert(name, data);
            }
        }
        Self { secrets, multi_valued }
    }
}

#[async_trait]
impl SecretStore for LocalFile {
    fn features(&self) -> Features {
        Features { multiple_key_values_per_secret: self.multi_valued }
    }

    async fn get(&self, name: &str, _metadata: &Metadata) -> Result<SecretData> {
        match self.secrets.get(name) {
            Some(data) => Ok(data.clone()),
            None => Err(Error::new(ErrorKind::NotFound, format!("secret {name} not found"))),
        }
    }

    async fn bulk_get(&self, _metadata: &Metadata) -> Result<BTreeMap<String, SecretData>> {
        Ok(self.secrets.clone())
    }
}

/// Writes every leaf below `value` under its path. Of two leaves with one path the first wins.
fn flatten(path: Option<&str>, value: &Value, separator: &str, into: &mut SecretData) {
    let below = |name: &str| path.map_or_else(|| name.to_owned(), |path| format!("{path}{separator}{name}"));
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                flatten(Some(&below(name)), member, separator, into);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                flatten(Some(&below(&index.to_string())), element, separator, into);
            }
        }
        leaf => {
            into.entry(path.unwrap_or_default().to_owned()).or_insert_with(|| leaf_text(leaf));
        }
    }
}

/// A leaf as daprd's clients have come to see it: what is not a text goes through Go's `%s`, which complains in place.
fn leaf_text(leaf: &Value) -> String {
    match leaf {
        Value::String(text) => text.clone(),
        Value::Number(number) => {
            format!("%!s(float64={})", go::format_float(number.as_f64().unwrap_or_default()))
        }
        Value::Bool(flag) => format!("%!s(bool={flag})"),
        _ => "%!s(<nil>)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(json: &str, multi_valued: bool) -> LocalFile {
        LocalFile::new(serde_json::from_str(json).unwrap(), ":", multi_valued)
    }

    #[test]
    fn leaves_are_named_by_their_path() {
        let store = store(
            r#"{"a": {"b": "deep", "n": 5, "t": true, "f": 1.5, "z": null}, "l": ["x", {"y": "z"}], "e": {}}"#,
            false,
        );
        let flat: Vec<(&str, &str)> =
            store.secrets.iter().map(|(name, data)| (name.as_str(), data[name].as_str())).collect();
        assert_eq!(
            flat,
            [
                ("a:b", "deep"),
                ("a:f", "%!s(float64=1.5)"),
                ("a:n", "%!s(float64=5)"),
                ("a:t", "%!s(bool=true)"),
                ("a:z", "%!s(<nil>)"),
                ("l:0", "x"),
                ("l:1:y", "z"),
            ]
        );
    }

    #[test]
    fn multi_valued_keeps_the_first_level_apart() {
        let store = store(r#"{"db": {"user": "u", "opts": {"x": "1"}}, "single": "one", "arr": ["p"], "n": 1}"#, true);
        assert_eq!(store.secrets.keys().collect::<Vec<_>>(), ["db", "single"]);
        assert_eq!(store.secrets["db"]["opts:x"], "1");
        assert_eq!(store.secrets["single"]["single"], "one");
    }

    #[tokio::test]
    async fn a_missing_secret_is_not_found() {
        let error = store("{}", false).get("x", &Metadata::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.message()), (&ErrorKind::NotFound, "secret x not found"));
    }
}
