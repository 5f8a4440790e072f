//! Recorded answers of a real daprd, replayed against a sidecar by `golden/replay.py`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::target::test_cache;

/// What a replay of one file showed.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The cases that differ, as `file: case`.
    pub failed: BTreeSet<String>,
    /// How many were the same.
    pub passed: usize,
    /// All that was printed.
    pub text: String,
}

/// Replays one file against a fresh process of `binary`; with `again` a second time against the same process, once the
/// shell has run that command.
///
/// # Panics
/// What replays is not installed (`conformance/setup.sh` does it) or does not come to an end.
pub fn replay(binary: &Path, file: &Path, again: Option<&str>) -> Outcome {
    let mut command = Command::new(python());
    command.arg(folder().join("replay.py"));
    if let Some(again) = again {
        command.args(["--again", again]);
    }
    let output = command.arg(binary).arg(file).output().expect("python runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    let summary = text.lines().last().unwrap_or_default();
    let passed = summary.split(" passed").next().and_then(|count| count.parse().ok());
    let passed = passed.unwrap_or_else(|| panic!("{} was not replayed: {text}\n{errors}", file.display()));
    let failed = text
        .lines()
        .filter_map(|line| line.strip_prefix("FAIL "))
        .map(|case| case.split(": sidecar not ready").next().unwrap_or(case).trim().to_owned())
        .collect();
    Outcome { failed, passed, text }
}

/// The folder of cases and of what replays them.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// A link to a program under the name that makes it a daprd.
///
/// # Panics
/// The folder cannot be written.
pub fn as_daprd(binary: &Path, folder: &Path) -> PathBuf {
    let link = folder.join("daprd");
    std::os::unix::fs::symlink(binary, &link).expect("a link in a fresh folder");
    link
}

fn python() -> PathBuf {
    let python = test_cache().join("golden/bin/python");
    assert!(python.exists(), "{} is missing: conformance/setup.sh installs it", python.display());
    python
}
