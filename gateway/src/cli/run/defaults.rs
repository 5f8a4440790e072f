//! The components that `ottavo run` brings along, with their data in the user's state folder.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::config::component::{ComponentSpec, Property};
use crate::config::meta::Metadata;
use crate::config::value::DynamicValue;
use crate::config::{Component, Environment};

/// The user's folder for state: `$XDG_STATE_HOME/ottavo`, else `~/.local/state/ottavo`.
pub fn data_dir(environment: &Environment) -> Option<PathBuf> {
    let state = environment.non_empty("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || environment.non_empty("HOME").map(|home| Path::new(home).join(".local").join("state"));
    state.or_else(home).map(|state| state.join("ottavo"))
}

/// The default components, but for those whose name is among `existing`.
///
/// Makes `data_dir` (for this user only) and an empty file of secrets in it when they are not there.
/// - `statestore`: SQLite, one file for all of the user's apps, keys prefixed with the app id, fit for actors.
/// - `pubsub`: SQLite, one file for all of the user's apps: they hear each other.
/// - `secretstore`: `secrets.json`; `envsecrets`: environment variables.
pub fn components(data_dir: &Path, existing: &[Component]) -> io::Result<Vec<Component>> {
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    // Components resolve paths against a folder of their own choice.
    let data_dir = data_dir.canonicalize()?;
    let file = |name: &str| data_dir.join(name).to_string_lossy().into_owned();
    let secrets = data_dir.join("secrets.json");
    create_secrets(&secrets)?;
    let all = [
        component(
            "statestore",
            "state.sqlite",
            &[
                ("connectionString", json!(file("state.sqlite"))),
                ("keyPrefix", json!("appid")),
                ("actorStateStore", json!("true")),
            ],
        ),
        component("pubsub", "pubsub.sqlite", &[("connectionString", json!(file("pubsub.sqlite")))]),
        component(
            "secretstore",
            "secretstores.local.file",
            &[("secretsFile", json!(file("secrets.json"))), ("nestedSeparator", json!(":"))],
        ),
        component("envsecrets", "secretstores.local.env", &[]),
    ];
    let is_free = |component: &Component| !existing.iter().any(|other| other.metadata.name == component.metadata.name);
    Ok(all.into_iter().filter(is_free).collect())
}

fn create_secrets(path: &Path) -> io::Result<()> {
    let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match created {
        Ok(mut file) => io::Write::write_all(&mut file, b"{}\n"),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn component(name: &str, kind: &str, properties: &[(&str, Value)]) -> Component {
    Component {
        metadata: Metadata { name: name.to_owned(), namespace: String::new() },
        spec: ComponentSpec {
            kind: kind.to_owned(),
            version: "v1".to_owned(),
            metadata: properties
                .iter()
                .map(|(name, value)| Property {
                    name: (*name).to_owned(),
                    value: Some(DynamicValue::new(value.clone())),
                    ..Property::default()
                })
                .collect(),
            ..ComponentSpec::default()
        },
        ..Component::default()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_folder_is_the_users_own() {
        let of = |variables: &[(&str, &str)]| data_dir(&Environment::new(variables.iter().copied()));
        assert_eq!(of(&[("HOME", "/h")]), Some(PathBuf::from("/h/.local/state/ottavo")));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_STATE_HOME", "/s")]), Some(PathBuf::from("/s/ottavo")));
        assert_eq!(
            of(&[("HOME", "/h"), ("XDG_STATE_HOME", "relative")]),
            Some(PathBuf::from("/h/.local/state/ottavo"))
        );
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn components_come_with_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a").join("ottavo");
        let made = components(&data, &[]).unwrap();
        let names: Vec<_> = made.iter().map(|component| component.metadata.name.as_str()).collect();
        assert_eq!(names, ["statestore", "pubsub", "secretstore", "envsecrets"]);
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
        let secrets = data.join("secrets.json");
        assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&secrets, "{\"a\": \"b\"}").unwrap();
        components(&data, &[]).unwrap();
        assert_eq!(std::fs::read_to_string(&secrets).unwrap(), "{\"a\": \"b\"}");
    }

    #[test]
    fn resources_of_the_same_name_win() {
        let folder = tempfile::tempdir().unwrap();
        let mine = component("statestore", "state.redis", &[]);
        let made = components(folder.path(), &[mine]).unwrap();
        assert!(made.iter().all(|component| component.metadata.name != "statestore"));
        assert_eq!(made.len(), 3);
    }
}
