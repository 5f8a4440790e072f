//! `ottavo function dev`: builds and serves a function again whenever one of its files changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;
use nix::sys::signal::{Signal, raise};

use super::build::build;
use super::local::Local;
use super::manifest::Project;
use super::{Failure, Outcome, print_line};

pub const NOTES: &str = "\
Nothing is served before the first build is done. A build that fails leaves the last one in service.
What the build itself writes is not watched: the module, spec.build.output, target, node_modules, and
whatever begins with a dot.";

/// How often files are looked at.
const LOOK: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
pub struct Options {
    /// Folder of the function
    #[arg(value_name = "FOLDER", default_value = ".")]
    folder: PathBuf,
    /// Port to serve the function at, if it is free; else another
    #[arg(long, short, value_name = "PORT", default_value = "3000")]
    port: u16,
    /// Folder for the data of the default components [default: ~/.local/state/ottavo]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

pub fn run(options: &Options) -> Outcome {
    let project = Project::read(&options.folder)?;
    let mut watch = Watch { seen: Files::of(&project), written: BTreeSet::new(), waiting: None };
    build(&project)?;
    watch.built(&project, None);
    let local = Local::new(&project, options.data_dir.as_deref(), options.port)?;
    local.during(async |folder, address| -> Outcome {
        print_line(&format!("Serving {} at {address} (Ctrl-C ends it)", project.name));
        let mut looks = tokio::time::interval(LOOK);
        loop {
            looks.tick().await;
            folder.print_log();
            let Some(changed) = watch.changed(&project) else { continue };
            print_line(&format!("{} has changed", changed.display()));
            let path = options.folder.clone();
            let again = tokio::task::spawn_blocking(move || {
                let project = Project::read(&path)?;
                build(&project)?;
                Ok(project)
            });
            let again = again.await.map_err(|error| Failure::new(error.to_string()))?;
            watch.built(&project, Some(changed));
            match again.and_then(|project: Project| folder.put(&project)) {
                // As an operator has a gateway read its resources.
                Ok(()) => raise(Signal::SIGHUP).map_err(|error| Failure::new(error.to_string()))?,
                Err(Failure(text)) => eprintln!("error: {text}\nThe last build stays in service."),
            }
        }
    })?;
    Ok(())
}

/// Tells changes by hand from what builds write.
struct Watch {
    seen: Files,
    /// Files that builds write, as was found out.
    written: BTreeSet<PathBuf>,
    /// Has changed while a build was under way.
    waiting: Option<PathBuf>,
}

impl Watch {
    /// A file that has changed since the last time.
    fn changed(&mut self, project: &Project) -> Option<PathBuf> {
        let waiting = self.waiting.take();
        waiting.or_else(|| self.look(project))
    }

    /// A build is over that was made for `reason`. When that file has changed meanwhile, it is the build that writes it:
    /// its next change would be the reason for a build without end.
    fn built(&mut self, project: &Project, reason: Option<PathBuf>) {
        self.waiting = self.look(project);
        if self.waiting.is_some()
            && self.waiting == reason
            && let Some(path) = self.waiting.take()
        {
            print_line(&format!("{} is written by the build, and is not watched any more", path.display()));
            self.written.insert(path);
        }
    }

    fn look(&mut self, project: &Project) -> Option<PathBuf> {
        let now = Files::of(project);
        let changed =
            now.differing(&self.seen).chain(self.seen.differing(&now)).find(|path| !self.written.contains(*path));
        let changed = changed.map(Path::to_owned);
        self.seen = now;
        changed
    }
}

/// The files of a function, without what builds write.
#[derive(Debug, PartialEq, Eq)]
struct Files(BTreeMap<PathBuf, (SystemTime, u64)>);

impl Files {
    fn of(project: &Project) -> Self {
        let mut files = BTreeMap::new();
        let output = project.spec.build.as_ref().and_then(|build| build.output.clone());
        let written = [project.module().ok(), output.map(|output| project.folder.join(output))];
        collect(&project.folder, &written, &mut files);
        Self(files)
    }

    /// Those that are not the same in `other`.
    fn differing<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a Path> {
        self.0.iter().filter(|(path, about)| other.0.get(*path) != Some(about)).map(|(path, _)| path.as_path())
    }
}

fn collect(folder: &Path, written: &[Option<PathBuf>], files: &mut BTreeMap<PathBuf, (SystemTime, u64)>) {
    // A file that goes away meanwhile is one that is not there.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let is_written = name.starts_with('.')
            || matches!(name.as_ref(), "target" | "node_modules" | "Cargo.lock" | "package-lock.json" | "go.sum")
            || written.contains(&Some(path.clone()));
        let Ok(about) = entry.metadata() else { continue };
        if is_written {
            continue;
        } else if about.is_dir() {
            collect(&path, written, files);
        } else if let Ok(modified) = about.modified() {
            files.insert(path, (modified, about.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_builds_write_is_not_watched() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "function.yaml",
            "kind: Function\nmetadata: {name: a}\nspec: {module: a.wasm, build: {command: make, output: out/b.wasm}}",
        );
        write("src/a.rs", "1");
        let project = Project::read(folder.path()).unwrap();
        let mut watch = Watch { seen: Files::of(&project), written: BTreeSet::new(), waiting: None };
        for name in ["a.wasm", "out/b.wasm", "target/x/y", "node_modules/z", ".git/index", "Cargo.lock"] {
            write(name, "written");
        }
        assert_eq!(watch.changed(&project), None);
        let source = folder.path().join("src/a.rs");
        write("src/a.rs", "12");
        assert_eq!(watch.changed(&project), Some(source.clone()));
        let other = folder.path().join("src/b.rs");
        write("src/b.rs", "1");
        assert_eq!(watch.changed(&project), Some(other.clone()));
        std::fs::remove_file(&other).unwrap();
        assert_eq!(watch.changed(&project), Some(other));
        assert_eq!(watch.changed(&project), None);
        // An edit during a build is the reason for the next one; the same file twice is the build's own doing.
        write("src/a.rs", "123");
        watch.built(&project, None);
        assert_eq!(watch.changed(&project), Some(source.clone()));
        write("src/a.rs", "1234");
        watch.built(&project, Some(source));
        write("src/a.rs", "12345");
        assert_eq!(watch.changed(&project), None);
    }
}
