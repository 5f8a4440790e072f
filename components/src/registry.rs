//! From a type and a version to a built component.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::component::{Built, InitContext, Spec};
use crate::{Error, Result};

/// The future of a component that is being built.
pub type Building = Pin<Box<dyn Future<Output = Result<Built>> + Send>>;

type Constructor = Arc<dyn Fn(Spec, InitContext) -> Building + Send + Sync>;

/// An implementation that can be built: what it understands and how it is made.
#[derive(Clone)]
pub struct Registration {
    /// Property names that it reads, aliases included; used to notice misspelt ones. Empty: any name is its own affair.
    pub properties: &'static [&'static str],
    build: Constructor,
}

/// All implementations by type (`state.redis`) and version. A value, passed to whoever builds.
#[derive(Clone, Default)]
pub struct Registry {
    entries: BTreeMap<(String, String), Registration>,
}

impl Registry {
    /// Every implementation of this build.
    pub fn builtin() -> Self {
        let mut registry = Self::default();
        crate::builtin::register(&mut registry);
        registry
    }

    /// Adds `kind_and_name` in `version` (`v1`, ...). A later registration of the same pair replaces the earlier.
    pub fn add<F, Fut>(&mut self, kind_and_name: &str, version: &str, properties: &'static [&'static str], build: F)
    where
        F: Fn(Spec, InitContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Built>> + Send + 'static,
    {
        let build: Constructor = Arc::new(move |spec, context| Box::pin(build(spec, context)));
        self.entries.insert(key(kind_and_name, version), Registration { properties, build });
    }

    /// The implementation of a type and version, if there is one.
    pub fn find(&self, kind_and_name: &str, version: &str) -> Option<&Registration> {
        self.entries.get(&key(kind_and_name, version))
    }

    /// Builds a component; an unknown type is an error that says what exists of its kind.
    pub async fn build(&self, spec: Spec, context: InitContext) -> Result<Built> {
        let Some(registration) = self.find(&spec.kind_and_name, &spec.version) else {
            return Err(Error::config(format!(
                "couldn't find {}/{}; this build has {}",
                spec.kind_and_name,
                normal_version(&spec.version),
                self.known(&spec.kind_and_name).join(", ")
            )));
        };
        (registration.build)(spec, context).await
    }

    /// The types of the same kind as `kind_and_name`, each as `type/version`.
    pub fn known(&self, kind_and_name: &str) -> Vec<String> {
        let kind = kind_and_name.split('.').next().unwrap_or_default();
        self.entries
            .keys()
            .filter(|(name, _)| name.split('.').next() == Some(kind))
            .map(|(name, version)| format!("{name}/{version}"))
            .collect()
    }
}

/// The part before the first dot is case-sensitive, the rest is not (as daprd 1.18).
fn key(kind_and_name: &str, version: &str) -> (String, String) {
    let name = match kind_and_name.split_once('.') {
        Some((kind, name)) => format!("{kind}.{}", name.to_ascii_lowercase()),
        None => kind_and_name.to_owned(),
    };
    (name, normal_version(version))
}

/// `""` and `v0` mean `v1`.
pub fn normal_version(version: &str) -> String {
    match version.to_ascii_lowercase().as_str() {
        "" | "v0" | "v1" => "v1".to_owned(),
        other => other.to_owned(),
    }
}

/// Property names that the sidecar itself reads, by block.
fn sidecar_properties(block: &str) -> &'static [&'static str] {
    match block {
        "state" => &[
            "keyPrefix",
            "actorStateStore",
            "primaryEncryptionKey",
            "secondaryEncryptionKey",
            "outboxPublishPubsub",
            "outboxPublishTopic",
            "outboxPubsub",
            "outboxDiscardWhenMissingState",
        ],
        "pubsub" => &["consumerID", "publishingScopes", "subscriptionScopes", "allowedTopics", "protectedTopics"],
        "bindings" => &["route", "direction"],
        _ => &[],
    }
}

/// The names in `properties` that are nearly, but not, one of `known` (or of what the sidecar reads for `block`), each
/// with the nearest. Names that resemble none are left alone: components may have options of other versions.
pub fn misspelt(
    properties: &crate::metadata::Properties,
    known: &[&'static str],
    block: &str,
) -> Vec<(String, &'static str)> {
    if known.is_empty() {
        return Vec::new();
    }
    let all = || known.iter().chain(sidecar_properties(block)).copied();
    properties
        .names()
        .filter(|name| !all().any(|other| other.eq_ignore_ascii_case(name)))
        .filter_map(|name| nearest(name, all()).map(|nearest| (name.to_owned(), nearest)))
        .collect()
}

/// The name among `known` that `name` nearly is, if there is one.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (distance, nearest) = known.map(|other| (distance(name, other), other)).min()?;
    (distance <= 2 && distance * 3 <= name.len()).then_some(nearest)
}

/// Edits between two names, without regard to case.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_ascii_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, character) in one.to_ascii_lowercase().chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (index, candidate) in other.iter().enumerate() {
            let substituted = diagonal + usize::from(character != *candidate);
            diagonal = row[index + 1];
            row[index + 1] = substituted.min(diagonal + 1).min(row[index] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Properties;

    #[test]
    fn near_misses_are_named_and_others_left_alone() {
        let names = ["connectionStrng", "KEYPREFIX", "tableName", "somethingElse"];
        let properties = Properties::new(names.map(|name| (name.to_owned(), String::new())));
        let found = misspelt(&properties, &["connectionString", "tableName"], "state");
        assert_eq!(found, [("connectionStrng".to_owned(), "connectionString")]);
    }
}
