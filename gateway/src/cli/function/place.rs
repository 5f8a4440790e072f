//! A folder of functions that a gateway reads: `NAME.yaml` beside `NAME.wasm`.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::manifest::Project;
use super::{Failure, Outcome};

/// The manifest as it is deployed: its module under `module`, pinned to what it is now, without what only builds need.
pub fn manifest(project: &Project, module: &str, sha256: &str) -> Outcome<String> {
    let mut document = project.document.clone();
    let spec = document.get_mut("spec").and_then(Value::as_object_mut);
    let spec = spec.ok_or_else(|| project.failure("spec is missing"))?;
    spec.shift_remove("build");
    spec.insert("module".to_owned(), json!(module));
    spec.insert("digest".to_owned(), json!(format!("sha256:{sha256}")));
    serde_saphyr::to_string(&document).map_err(|error| project.failure(&error.to_string()))
}

/// Puts a function into `folder`. Each file appears whole, the module first.
pub fn put(folder: &Path, name: &str, manifest: &str, module: &[u8]) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
    let [yaml, wasm] = files(folder, name);
    whole(&wasm, module)?;
    whole(&yaml, manifest.as_bytes())
}

/// Takes a function out of `folder`, its manifest first.
///
/// # Errors
/// It is not there.
pub fn take(folder: &Path, name: &str) -> Outcome {
    let [yaml, wasm] = files(folder, name);
    std::fs::remove_file(&yaml)
        .map_err(|error| Failure::new(format!("there is no function {name} in {}: {error}", folder.display())))?;
    match std::fs::remove_file(&wasm) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::new(format!("{}: {error}", wasm.display())))
        }
        _ => Ok(()),
    }
}

fn files(folder: &Path, name: &str) -> [PathBuf; 2] {
    ["yaml", "wasm"].map(|extension| folder.join(format!("{name}.{extension}")))
}

/// Writes beside the file, then renames: a gateway that reads it meanwhile sees the old one or the new one.
fn whole(path: &Path, bytes: &[u8]) -> Outcome {
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let written = std::fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|error| {
        // What is half-written is of no use to anybody.
        let _ = std::fs::remove_file(&beside);
        Failure::new(format!("cannot write {}: {error}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{function::Function, yaml};

    #[test]
    fn what_is_deployed_is_pinned_and_the_gateway_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let text = "apiVersion: ottavo.io/v1alpha1\nkind: Function\nmetadata: {name: a}\nspec:\n  module: out/x.wasm\n  \
                    build: {command: make}\n  grants: {state: [statestore]}\n  triggers: [{cron: '@every 1m'}]\n";
        std::fs::write(folder.path().join("function.yaml"), text).unwrap();
        let project = Project::read(folder.path()).unwrap();
        let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let target = folder.path().join("functions");
        put(&target, "a", &manifest(&project, "a.wasm", sha256).unwrap(), b"module").unwrap();
        let written = std::fs::read_to_string(target.join("a.yaml")).unwrap();
        assert!(!written.contains("build"), "{written}");
        let function = Function::read(&target.join("a.yaml"), &yaml::parse(&written).unwrap()).unwrap();
        assert_eq!(function.module_file().map(Path::to_owned), Some(target.join("a.wasm")));
        assert_eq!(function.pins.sha256.as_deref(), Some(sha256));
        assert_eq!((function.grants.state.len(), function.triggers.schedules.len()), (1, 1));
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 2, "nothing half-written stays");
        take(&target, "a").unwrap();
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 0);
        assert!(take(&target, "a").unwrap_err().0.starts_with("there is no function a in"));
    }
}
