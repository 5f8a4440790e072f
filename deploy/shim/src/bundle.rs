//! A container's folder, as containerd lays it out: the OCI runtime's `config.json`, of which the shim needs little.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cri::Annotations;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    pub process: Process,
    pub root: Root,
    pub annotations: Annotations,
    pub linux: Linux,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Process {
    pub args: Vec<String>,
    /// `NAME=value`, each.
    pub env: Vec<String>,
    pub cwd: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Root {
    path: PathBuf,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Linux {
    pub resources: Resources,
}

/// Also what an update of a task brings.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resources {
    memory: Option<Memory>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    limit: Option<i64>,
}

impl Resources {
    /// Bytes of memory, where they are limited.
    pub fn memory(&self) -> Option<u64> {
        let limit = self.memory.as_ref()?.limit?;
        u64::try_from(limit).ok().filter(|bytes| *bytes > 0)
    }
}

impl Spec {
    /// # Errors
    /// The file, and what is wrong with it.
    pub fn read(bundle: &Path) -> Result<Self, String> {
        let path = bundle.join("config.json");
        let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| failed(&error))
    }

    /// Where the image's files are.
    pub fn rootfs(&self, bundle: &Path) -> PathBuf {
        let path = if self.root.path.as_os_str().is_empty() { Path::new("rootfs") } else { &self.root.path };
        bundle.join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_read_and_the_rest_may_be_anything() {
        let folder = tempfile::tempdir().unwrap();
        let json = r#"{"ociVersion": "1.0.2", "process": {"args": ["main.wasm"], "env": ["A=1"], "cwd": "/", "user": {}},
            "root": {"path": "rootfs", "readonly": true}, "annotations": {"a": "b"},
            "linux": {"resources": {"memory": {"limit": 33554432}, "cpu": {"shares": 2}}, "namespaces": []}}"#;
        std::fs::write(folder.path().join("config.json"), json).unwrap();
        let spec = Spec::read(folder.path()).unwrap();
        assert_eq!((spec.process.args[0].as_str(), spec.linux.resources.memory()), ("main.wasm", Some(32 << 20)));
        assert_eq!(spec.rootfs(folder.path()), folder.path().join("rootfs"));
        let unlimited: Resources = serde_json::from_str(r#"{"memory": {"limit": -1}}"#).unwrap();
        assert_eq!(unlimited.memory(), None);
        std::fs::write(folder.path().join("config.json"), "{").unwrap();
        assert!(Spec::read(folder.path()).unwrap_err().contains("config.json: "));
    }
}
