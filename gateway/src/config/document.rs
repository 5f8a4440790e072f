//! One document of a file: where it ends, what it is, whether it is one of ours.

use serde::Deserialize;
use serde_json::Value;

use super::decode::decode;
use super::meta::{Metadata, Resource};
use super::yaml;

/// What tells a document's kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Head {
    api_version: String,
    pub kind: String,
    metadata: Metadata,
}

/// The texts between lines that begin with `---`; the rest of such a line is dropped.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = (!text.is_empty()).then_some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = text.find("\n---") else {
            rest = None;
            return Some(text);
        };
        let after = &text[at + 4..];
        rest = after.find('\n').map(|newline| &after[newline + 1..]).filter(|after| !after.is_empty());
        Some(&text[..at])
    })
}

/// A document that was read, of any kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    head: Head,
    value: Value,
}

impl Document {
    /// What the document says.
    #[cfg(feature = "wasm")]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether it is of this kind and version.
    #[cfg(feature = "wasm")]
    pub fn is(&self, api_version: &str, kind: &str) -> bool {
        self.head.api_version == api_version && self.head.kind == kind
    }

    /// Reads a document; the error is the one of each kind that looks for its own in it.
    pub fn read(text: &str) -> Result<Self, String> {
        let value = yaml::parse(text).map_err(|error| error.to_string())?;
        let head = decode(value.clone()).map_err(|error| error.to_string())?;
        Ok(Self { head, value })
    }

    /// The document as a `T`; `None` when it is of another kind or version.
    pub fn resource<T: Resource>(&self) -> Result<Option<T>, String> {
        if self.head.api_version != T::API_VERSION || self.head.kind != T::KIND {
            return Ok(None);
        }
        let name = &self.head.metadata.name;
        let faults = name_faults(name);
        if !faults.is_empty() {
            return Err(format!("invalid name {name:?} for {:?}: {}", T::KIND, faults.join("; ")));
        }
        decode(self.value.clone()).map(Some).map_err(|error| error.to_string())
    }
}

/// Why `name` cannot be a segment of a path, in the words of Kubernetes.
fn name_faults(name: &str) -> Vec<String> {
    if matches!(name, "." | "..") {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"].iter().filter(|part| name.contains(*part)).map(|part| format!("may not contain '{part}'")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::component::Component;
    use super::super::http_endpoint::HttpEndpoint;
    use super::*;

    #[test]
    fn names_that_break_paths_are_refused() {
        assert_eq!(name_faults(".."), ["may not be '..'"]);
        assert_eq!(name_faults("a/b%"), ["may not contain '/'", "may not contain '%'"]);
        assert!(name_faults("a-b").is_empty());
    }

    #[test]
    fn a_document_that_was_read_once_is_asked_by_every_kind() {
        let text = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: a}\nspec: {type: t, version: v1}\n";
        let document = Document::read(text).unwrap();
        assert_eq!(document.resource::<Component>().unwrap().unwrap().name(), "a");
        assert!(document.resource::<HttpEndpoint>().unwrap().is_none());
        let document = Document::read(&text.replace("name: a", "name: a/b")).unwrap();
        assert!(document.resource::<HttpEndpoint>().unwrap().is_none());
        assert!(document.resource::<Component>().unwrap_err().contains("may not contain '/'"));
        assert!(Document::read("a: [").is_err());
    }

    #[test]
    fn documents_are_split_at_markers() {
        let documents = |text| split(text).collect::<Vec<_>>();
        assert_eq!(documents("a\n---\nb\n---"), ["a", "b"]);
        assert_eq!(documents("---\na\n--- # note\nb"), ["---\na", "b"]);
        assert_eq!(documents(""), Vec::<&str>::new());
    }
}
