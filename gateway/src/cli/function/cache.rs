//! Compiled modules of the commands: a call right after a build does not compile again.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::cli::run::defaults;
use crate::config::Environment;

/// Names the folder for gateways too; see `docs/wasm.md`.
pub const VARIABLE: &str = "OTTAVO_WASM_CACHE";

/// Modules that are kept: every build makes a new one.
const MOST: usize = 20;

/// The folder: the variable's, else one below the user's data. `None`: there is none.
pub fn folder(environment: &Environment) -> Option<PathBuf> {
    let given = environment.non_empty(VARIABLE).map(PathBuf::from);
    let folder = given.or_else(|| Some(defaults::data_dir(environment)?.join("compiled")))?;
    thin_out(&folder);
    Some(folder)
}

/// Leaves the latest modules; the folder's key is not one.
fn thin_out(folder: &Path) {
    // The cache is a help only: what cannot be read or removed stays.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let modified = |path: &Path| path.metadata().and_then(|about| about.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| !path.ends_with("key"));
    let mut files: Vec<(SystemTime, PathBuf)> = paths.map(|path| (modified(&path), path)).collect();
    files.sort();
    let surplus = files.len().saturating_sub(MOST);
    for (_, path) in files.drain(..surplus) {
        let _ = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_modules_and_the_key_stay() {
        let folder = tempfile::tempdir().unwrap();
        let environment = Environment::new([(VARIABLE, folder.path().to_str().unwrap())]);
        let write = |name: &str, age: u64| {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        };
        write("key", 1000);
        for number in 0..30 {
            write(&format!("module-{number}"), number);
        }
        super::folder(&environment).unwrap();
        let has = |name: &str| folder.path().join(name).exists();
        assert!(has("key") && has("module-0") && has("module-19") && !has("module-20"));
    }
}
