//! Runs the programs of `conformance/descriptors`, each over one installed package.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A published package, and the program that flattens its descriptors.
pub struct Package {
    pub name: &'static str,
    program: PathBuf,
    arguments: Vec<PathBuf>,
}

/// `dapr` for Python: the app's API and the workflow protocol.
pub fn pypi() -> Package {
    Package {
        name: "the Python package dapr 1.19.0",
        program: cache().join("venv/bin/python"),
        arguments: vec![programs().join("pypi.py")],
    }
}

/// `@dapr/dapr` for Node.js: the app's API and older internals.
pub fn npm() -> Package {
    Package {
        name: "the npm package @dapr/dapr 3.18.0",
        program: "node".into(),
        arguments: vec![programs().join("npm.js"), cache().join("npm/node_modules")],
    }
}

/// `github.com/dapr/dapr` and the workflow engine it uses: everything that the runtime speaks.
pub fn go() -> Package {
    Package {
        name: "the Go module github.com/dapr/dapr v1.18.2",
        program: cache().join("go-descriptors"),
        arguments: Vec::new(),
    }
}

impl Package {
    /// The flattened descriptors. Fails when the package is not installed.
    #[track_caller]
    pub fn lines(&self) -> Vec<String> {
        for path in [&self.program].into_iter().chain(&self.arguments).filter(|path| path.is_absolute()) {
            assert!(
                path.exists(),
                "{} is not installed (no {}); run {}",
                self.name,
                path.display(),
                programs().join("install.sh").display()
            );
        }
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .output()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.program.display()));
        assert!(output.status.success(), "reading {} failed: {}", self.name, String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("lines are UTF-8");
        assert!(!text.trim().is_empty(), "nothing read from {}", self.name);
        text.lines().map(str::to_owned).collect()
    }
}

/// `conformance/descriptors` of this workspace.
fn programs() -> PathBuf {
    workspace().join("conformance/descriptors")
}

/// Where `install.sh` puts packages.
fn cache() -> PathBuf {
    let root = env::var_os("OTTAVO_TEST_CACHE").map_or_else(|| workspace().join("target/test-cache"), PathBuf::from);
    root.join("descriptors")
}

fn workspace() -> &'static Path {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder)
}
