//! The recorded bounds, and what it takes to record them again.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::HotPath;

/// The variable that has bounds recorded in place of being held.
const RECORD: &str = "RECORD_TWINS";
/// Records all bounds, of a program that is built already.
const COMMAND: &str = "RECORD_TWINS=1 cargo test --locked -p conformance --test twins";

/// How often a path is measured that takes more than its bound: a machine's other work adds now and then, a dearer program
/// always.
const TRIES: usize = 3;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Syscalls,
    Instructions,
    Allocations,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Syscalls => "syscalls",
            Self::Instructions => "instructions",
            Self::Allocations => "allocations",
        }
    }

    /// How much more than recorded is none. Ten runs of an unchanged program differed by no more than 1.5 % in
    /// instructions and 3 % in system calls, but for messages: they are delivered while the next are published, so that
    /// more or fewer of their calls fall together. Allocations are the same within one build, but another build of the
    /// same sources, or another machine's load while it starts, has moved them by one or two whole ones.
    fn slack(self, path: HotPath, recorded: f64) -> f64 {
        match (self, path) {
            (Self::Syscalls, HotPath::PublishHttp) => recorded * 0.15,
            (Self::Syscalls, _) => recorded * 0.03 + 0.1,
            (Self::Instructions, _) => recorded * 0.02,
            (Self::Allocations, _) => recorded * 0.02 + 1.0,
        }
    }
}

/// Measures each path, and fails when a request takes more than is recorded, with what to do about it; with
/// `RECORD_TWINS=1` in the environment it records what was measured instead.
///
/// # Panics
/// A bound does not hold, or there is none.
pub fn hold(kind: Kind, mut measure: impl FnMut(HotPath) -> f64) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("twins.json");
    let mut all_missed = Vec::new();
    for path in HotPath::ALL {
        let measured = measure(path);
        if std::env::var_os(RECORD).is_some() {
            record(&file, kind, path, measured);
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("twins.json is in the repository");
        let bounds: Value = serde_json::from_str(&text).expect("twins.json is JSON");
        let recorded = bounds[kind.name()][path.name()].as_f64();
        let recorded = recorded.unwrap_or_else(|| panic!("twins.json has no {} of {}", kind.name(), path.name()));
        let bound = recorded + kind.slack(path, recorded);
        let mut least = measured;
        for _ in 1..TRIES {
            if least <= bound {
                break;
            }
            least = least.min(measure(path));
        }
        println!("{} of {}: {least:.2}, recorded {recorded}", kind.name(), path.name());
        if least > bound {
            all_missed.push(missed(kind, path, least, recorded));
        }
    }
    assert!(
        all_missed.is_empty(),
        "{}\nFind what has become dearer. If it is worth it, build and record the new bounds:\n  {COMMAND}",
        all_missed.join("\n")
    );
}

fn missed(kind: Kind, path: HotPath, measured: f64, recorded: f64) -> String {
    let (kind_name, slack, path) = (kind.name(), kind.slack(path, recorded), path.name());
    format!("{path}: {measured:.2} {kind_name} a request, recorded are {recorded} (and {slack:.2} are borne)")
}

/// Writes one bound into the file.
fn record(file: &Path, kind: Kind, path: HotPath, measured: f64) {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut bounds: Value = serde_json::from_str(&text).unwrap_or_else(|_| json!({}));
    bounds["recorded"] = today().into();
    bounds[kind.name()][path.name()] = rounded(kind, measured).into();
    std::fs::write(file, format!("{bounds:#}\n")).expect("twins.json can be written");
    println!("recorded {} of {}: {measured:.2}", kind.name(), path.name());
}

fn rounded(kind: Kind, measured: f64) -> f64 {
    match kind {
        Kind::Instructions => measured.round(),
        Kind::Syscalls | Kind::Allocations => (measured * 100.0).round() / 100.0,
    }
}

fn today() -> String {
    let date = Command::new("date").arg("+%F").output().map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&date).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bound_says_by_how_much() {
        let text = missed(Kind::Syscalls, HotPath::StateGetHttp, 5.25, 4.0);
        assert_eq!(text, "state get, HTTP: 5.25 syscalls a request, recorded are 4 (and 0.22 are borne)");
    }
}
