//! Installed functions on disk, one file each, so that they outlive a restart.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use serde_json::Value;

use super::{Installed, SCOPE, admin};

/// A folder of installed functions; without one nothing is kept.
#[derive(Clone)]
pub struct Store {
    pub folder: Option<PathBuf>,
}

impl Store {
    /// Keeps what a function was installed with.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, name: &str, installed: &[u8]) -> Result<(), String> {
        let Some(path) = self.path(name) else { return Ok(()) };
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        if let Some(folder) = &self.folder {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        }
        // Written aside and renamed, so that a crash leaves the old file or the new one.
        let aside = path.with_extension("part");
        fs::write(&aside, installed).and_then(|()| fs::rename(&aside, &path)).map_err(failed)
    }

    /// Changes one member of what is kept.
    pub fn amend(&self, name: &str, member: &str, value: &Value) {
        let Some(path) = self.path(name).filter(|path| path.exists()) else { return };
        let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(Value::Object(mut members)) = kept {
            members.insert(member.to_owned(), value.clone());
            if let Err(error) = self.save(name, Value::Object(members).to_string().as_bytes()) {
                tracing::warn!(target: SCOPE, "The change of function {name} will not outlive a restart: {error}");
            }
        }
    }

    /// Forgets a function.
    pub fn remove(&self, name: &str) {
        if let Some(path) = self.path(name)
            && path.exists()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(target: SCOPE, "Function {name} comes back at the next start: {}: {error}", path.display());
        }
    }

    /// The functions that are kept; what cannot be read is logged.
    pub fn functions(&self) -> Vec<Installed> {
        let Some(folder) = &self.folder else { return Vec::new() };
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let read = |path: &PathBuf| {
            let bytes = fs::read(path).map_err(|error| error.to_string())?;
            let members = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
            admin::installed(&members)
        };
        let functions = paths.iter().filter_map(|path| match read(path) {
            Ok(function) => Some(function),
            Err(error) => {
                tracing::error!(target: SCOPE, "{}: this function cannot be brought back: {error}", path.display());
                None
            }
        });
        functions.collect()
    }

    /// Names come from outside: only their harmless letters make the file's.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let harmless: String = name.chars().map(|letter| if plain(letter) { letter } else { '.' }).collect();
        let digest = hex::encode(&wasm_host::digest::sha256(name.as_bytes())[..4]);
        self.folder.as_ref().map(|folder| folder.join(format!("{harmless}-{digest}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installed_functions_come_back_until_they_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store { folder: Some(folder.path().join("functions")) };
        let installed = br#"{"name": "../id_1", "instance_num": 2, "vm_config": {"path": "/f/a.wasm", "md5": "00"}}"#;
        store.save("../id_1", installed).unwrap();
        let functions = store.functions();
        let function = &functions[0].function;
        assert_eq!((function.name.as_str(), function.instances.max), ("../id_1", 2));
        assert_eq!(function.pins.md5.as_deref(), Some("00"));
        store.amend("../id_1", "instance_num", &Value::from(5));
        assert_eq!(store.functions()[0].function.instances.max, 5);
        store.remove("../id_1");
        assert!(store.functions().is_empty());
    }
}
