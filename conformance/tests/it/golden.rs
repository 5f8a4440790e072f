//! What a real daprd 1.18.2 answered, replayed against our binary.
//!
//! `conformance/golden/cases` holds the requests and answers, `differences.txt` the cases in which ours is known to
//! differ, with PARITY.md saying why. Any other difference fails.

use std::collections::BTreeSet;
use std::path::PathBuf;

use conformance::golden::{Outcome, as_daprd, folder, replay};
use conformance::proofs::same_answers;
use conformance::target::ottavo;

/// Cases of blocks that this build has no implementation of yet.
const LATER: [&str; 4] = ["binding", "conversation", "crypto", "ratelimit"];
/// Replays of a file in which something differs that is not known to.
const ATTEMPTS: usize = 3;
/// Replays at one time: most of a replay is waiting.
const PARALLEL: usize = 4;

/// Case files, longest first so that none is left alone at the end.
fn files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder().join("cases"))
        .expect("golden/cases is in the repository")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| !LATER.iter().any(|word| path.to_string_lossy().contains(word)))
        .collect();
    files.sort_by_key(|path| std::cmp::Reverse(std::fs::metadata(path).map_or(0, |facts| facts.len())));
    files
}

#[test]
fn answers_are_those_of_a_real_daprd_but_for_the_named_differences() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let daprd = as_daprd(&ottavo(), temporary.path());
    let known: BTreeSet<String> = std::fs::read_to_string(folder().join("differences.txt"))
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
                    let mut outcome = replay(&daprd, &file, None);
                    // What depends on time gets more chances, as in Dapr's own suite: a case differs when it always does.
                    for _ in 1..ATTEMPTS {
                        if outcome.failed.is_subset(&known) {
                            break;
                        }
                        let again = replay(&daprd, &file, None);
                        outcome = Outcome {
                            failed: outcome.failed.intersection(&again.failed).cloned().collect(),
                            passed: outcome.passed.max(again.passed),
                            text: again.text,
                        };
                    }
                    outcomes.lock().expect("no replay panicked").push(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no replay panicked");
    let failed: BTreeSet<&String> = outcomes.iter().flat_map(|outcome| &outcome.failed).collect();
    let passed: usize = outcomes.iter().map(|outcome| outcome.passed).sum();
    println!("golden answers: {passed} the same, {} different", failed.len());
    let unknown: Vec<&&String> = failed.iter().filter(|case| !known.contains(**case)).collect();
    let details: String = outcomes
        .iter()
        .filter(|outcome| outcome.failed.iter().any(|case| !known.contains(case)))
        .map(|outcome| outcome.text.as_str())
        .collect();
    assert!(unknown.is_empty(), "these differ and are not named in differences.txt: {unknown:#?}\n{details}");
}

#[test]
fn answers_of_one_process_are_the_same_after_load() {
    let settings = same_answers::Settings { requests: 2000, ..same_answers::Settings::default() };
    let report = same_answers::run(&settings).unwrap();
    assert!(report.held(), "{}\n{}", report.missed(), report.markdown());
}
