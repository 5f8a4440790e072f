//! What a real daprd 1.18.2 answered, replayed against our binary.
//!
//! `conformance/golden/cases` holds the requests and answers, `differences.txt` the cases in which ours is known to
//! differ, with PARITY.md saying why. Any other difference fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cases of blocks that this build has no implementation of yet.
const LATER: [&str; 4] = ["binding", "conversation", "crypto", "ratelimit"];
/// Replays of a file in which something differs that is not known to.
const ATTEMPTS: usize = 3;
/// Replays at one time: most of a replay is waiting.
const PARALLEL: usize = 4;

fn conformance() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The binary beside this test's own, under the name that makes it a daprd.
fn daprd(folder: &Path) -> PathBuf {
    let own = std::env::current_exe().expect("a test has a path");
    let built = own.ancestors().nth(2).expect("target/<profile>/deps/test").join("ottavo");
    let binary = std::env::var_os("OTTAVO_BIN").map_or(built, PathBuf::from);
    assert!(binary.exists(), "{} is missing: cargo build -p gateway makes it", binary.display());
    let link = folder.join("daprd");
    std::os::unix::fs::symlink(binary, &link).expect("a link in a fresh folder");
    link
}

fn python() -> PathBuf {
    let cache =
        std::env::var_os("OTTAVO_TEST_CACHE").map_or_else(|| conformance().join("../target/test-cache"), PathBuf::from);
    let python = cache.join("golden/bin/python");
    assert!(python.exists(), "{} is missing: conformance/setup.sh installs it", python.display());
    python
}

/// Case files, longest first so that none is left alone at the end.
fn files() -> Vec<PathBuf> {
    let folder = conformance().join("golden/cases");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("golden/cases is in the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| !LATER.iter().any(|word| path.to_string_lossy().contains(word)))
        .collect();
    files.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).map_or(0, |facts| facts.len())));
    files
}

/// The cases of one file that differ, as `file: case`, and how many were the same.
fn replay(daprd: &Path, file: &Path) -> (BTreeSet<String>, usize, String) {
    let output = Command::new(python())
        .arg(conformance().join("golden/replay.py"))
        .arg(daprd)
        .arg(file)
        .output()
        .expect("python runs");
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
    (failed, passed, text)
}

#[test]
fn answers_are_those_of_a_real_daprd_but_for_the_named_differences() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let daprd = daprd(folder.path());
    let known: BTreeSet<String> = std::fs::read_to_string(conformance().join("golden/differences.txt"))
        .expect("golden/differences.txt is in the repository")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    let queue = std::sync::Mutex::new(files().into_iter());
    let outcomes = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                loop {
                    let Some(file) = queue.lock().expect("no replay panicked").next() else { break };
                    let mut outcome = replay(&daprd, &file);
                    // What depends on time gets more chances, as in Dapr's own suite: a case differs when it always does.
                    for _ in 1..ATTEMPTS {
                        if outcome.0.is_subset(&known) {
                            break;
                        }
                        let again = replay(&daprd, &file);
                        outcome =
                            (outcome.0.intersection(&again.0).cloned().collect(), outcome.1.max(again.1), again.2);
                    }
                    outcomes.lock().expect("no replay panicked").push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no replay panicked");
    let failed: BTreeSet<&String> = outcomes.iter().flat_map(|(failed, ..)| failed).collect();
    let passed: usize = outcomes.iter().map(|(_, passed, _)| passed).sum();
    println!("golden answers: {passed} the same, {} different", failed.len());
    let unknown: Vec<&&String> = failed.iter().filter(|case| !known.contains(**case)).collect();
    let details: String = outcomes
        .iter()
        .filter(|(failed, ..)| failed.iter().any(|case| !known.contains(case)))
        .map(|(_, _, text)| text.as_str())
        .collect();
    assert!(unknown.is_empty(), "these differ and are not named in differences.txt: {unknown:#?}\n{details}");
}
