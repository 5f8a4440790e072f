//! The corpus, without a fuzzer: what once broke something stays fixed.

use std::path::Path;

/// The inputs of one target, in the order of their names.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut inputs: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("a folder of the repository")
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a readable file"))
        })
        .collect();
    inputs.sort();
    assert!(inputs.len() > 10, "a corpus of {target}");
    inputs
}

fn replay(target: &str, mut check: impl FnMut(&[u8])) {
    for (name, input) in corpus(target) {
        // Names the input when the check ends the test.
        println!("{target}/{name}");
        check(&input);
    }
}

#[test]
fn requests() {
    let sidecar = fuzz::router::Sidecar::start();
    replay("router", |input| sidecar.ask(input));
}

#[test]
fn events() {
    replay("envelope", fuzz::envelope::check);
}

#[test]
fn manifests_of_functions() {
    replay("functions", fuzz::functions::check);
}

#[test]
fn modules() {
    let host = fuzz::modules::Host::start();
    replay("modules", |input| host.check(input));
}

#[test]
fn lists_of_pairs() {
    replay("pairs", fuzz::pairs::check);
}

#[test]
fn resources() {
    replay("resources", fuzz::resources::check);
}
