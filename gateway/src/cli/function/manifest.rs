//! A function on disk: its manifest, and what belongs to it.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;
use wasm_host::sidecar::Grants;

use super::{Failure, Outcome};
use crate::config::function::Function;
use crate::config::yaml;

/// The manifest's usual name.
const MANIFEST: &str = "function.yaml";

/// A manifest that was read, and where.
#[derive(Debug)]
pub struct Project {
    pub manifest: PathBuf,
    pub folder: PathBuf,
    pub name: String,
    pub spec: Spec,
    /// All of it.
    pub document: Value,
}

/// What the commands need of a manifest's `spec`; the whole of it is the gateway's to read.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Spec {
    pub module: String,
    pub build: Option<Build>,
    pub grants: Grants,
}

/// How the module is made.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Build {
    /// For `sh`, in the manifest's folder.
    pub command: String,
    /// Where the command leaves the module, if not at the module's own place.
    pub output: Option<PathBuf>,
    /// The function's own tests, for `sh`.
    pub test: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Document {
    kind: String,
    metadata: Named,
    spec: Spec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

impl Project {
    /// Reads the manifest at `path`, or in the folder `path`.
    pub fn read(path: &Path) -> Outcome<Self> {
        let manifest = if path.is_dir() { path.join(MANIFEST) } else { path.to_owned() };
        let failed = |reason: String| Failure::new(format!("{}: {reason}", manifest.display()));
        let text = std::fs::read_to_string(&manifest).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => failed(
                "there is no manifest: name the folder of a function, or make one with `ottavo function new`".into(),
            ),
            _ => failed(error.to_string()),
        })?;
        let document = yaml::parse(&text).map_err(|error| failed(error.to_string()))?;
        let read: Document = serde_json::from_value(document.clone()).map_err(|error| failed(error.to_string()))?;
        if read.kind != "Function" {
            return Err(failed(format!("its kind is '{}', a function's is Function", read.kind)));
        }
        if read.metadata.name.is_empty() {
            return Err(failed("metadata.name is missing: it is the function's name".into()));
        }
        let folder = manifest.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.to_owned();
        Ok(Self { manifest, folder, name: read.metadata.name, spec: read.spec, document })
    }

    /// The module's file.
    ///
    /// # Errors
    /// The manifest names none, or one that is not a file.
    pub fn module(&self) -> Outcome<PathBuf> {
        let module = &self.spec.module;
        if module.is_empty() {
            return Err(self.failure("spec.module is missing: it is the module's file, such as greeter.wasm"));
        }
        let path = match module.split_once("://") {
            None => module,
            Some(("file", path)) => path,
            Some(_) => return Err(self.failure(&format!("its module is {module}, which is not built here"))),
        };
        Ok(self.folder.join(path))
    }

    /// The function as a gateway reads it.
    ///
    /// # Errors
    /// The gateway's own.
    pub fn function(&self) -> Outcome<Function> {
        Function::read(&self.manifest, &self.document).map_err(Failure::new)
    }

    /// How the module is made.
    ///
    /// # Errors
    /// The manifest does not say it.
    pub fn build(&self) -> Outcome<&Build> {
        let build = self.spec.build.as_ref().filter(|build| !build.command.is_empty());
        build.ok_or_else(|| {
            self.failure("spec.build.command is missing: it is the command that makes the module, such as `make`")
        })
    }

    /// A failure that the manifest's author can mend.
    pub fn failure(&self, reason: &str) -> Failure {
        Failure::new(format!("{}: {reason}", self.manifest.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Outcome<Project> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), text).unwrap();
        Project::read(folder.path())
    }

    fn reason(text: &str) -> String {
        match read(text) {
            Err(Failure(text)) => text.split_once(": ").unwrap().1.to_owned(),
            Ok(project) => panic!("{project:?}"),
        }
    }

    #[test]
    fn modules_are_found_beside_the_manifest() {
        let project =
            |module: &str| read(&format!("kind: Function\nmetadata: {{name: a}}\nspec: {{module: '{module}'}}"));
        let path = |module: &str| {
            let project = project(module).unwrap();
            project.module().map(|path| path.strip_prefix(&project.folder).unwrap_or(&path).to_owned())
        };
        assert_eq!(path("a.wasm"), Ok("a.wasm".into()));
        assert_eq!(path("file://out/a.wasm"), Ok("out/a.wasm".into()));
        assert_eq!(path("/srv/a.wasm"), Ok("/srv/a.wasm".into()));
        assert!(path("oci://example.com/a:1").unwrap_err().0.contains("which is not built here"));
        assert!(path("").unwrap_err().0.contains("spec.module is missing"));
    }

    #[test]
    fn what_is_no_manifest_is_refused_with_the_reason() {
        assert!(reason("kind: Component").contains("a function's is Function"));
        assert!(reason("kind: Function").contains("metadata.name is missing"));
        assert!(reason("kind: [").contains("yaml: line 1"));
        let Failure(text) = Project::read(Path::new("no-such-folder")).unwrap_err();
        assert!(text.contains("ottavo function new"), "{text}");
        let without = read("kind: Function\nmetadata: {name: a}\nspec: {module: a.wasm}").unwrap();
        assert!(without.build().unwrap_err().0.contains("spec.build.command is missing"));
    }
}
