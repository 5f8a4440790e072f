//! Instructions of one request, counted by valgrind's callgrind.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::{HotPath, per_request};
use crate::target::Sidecar;

/// Requests of the smaller of two counts.
const REQUESTS: u64 = 200;
/// Requests before: what is made once is made then.
const FIRST: u64 = 50;
/// How long a program may take to start in valgrind.
const PATIENCE: Duration = Duration::from_secs(120);

/// Instructions of the sidecars in user mode for one request, one at a time, of the program `binary`.
///
/// # Panics
/// `valgrind` (Debian's package) is missing, or requests fail.
pub fn instructions(path: HotPath, binary: &Path) -> f64 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let dumps = folder.path().join("callgrind.%p");
    let start = |builder: crate::target::Builder| {
        let words = ["valgrind", "--tool=callgrind", &format!("--callgrind-out-file={}", dumps.display())];
        let sidecar = builder.binary(binary).under(words.map(str::to_owned)).patience(PATIENCE).start();
        (sidecar.http, sidecar.grpc, sidecar)
    };
    let running = path.start(start, || ());
    running.drive(FIRST);
    let mut counters: Vec<Counter> =
        running.sidecars.iter().map(|sidecar| Counter::of(sidecar, folder.path())).collect();
    counters.iter_mut().map(Counter::read).for_each(drop);
    per_request(REQUESTS, |requests| {
        running.drive(requests);
        counters.iter_mut().map(Counter::read).sum()
    })
}

/// The counter of one process, which begins again at 0 each time that it is read.
struct Counter {
    id: u32,
    dumps: PathBuf,
    reads: u32,
}

impl Counter {
    fn of(sidecar: &Sidecar, folder: &Path) -> Self {
        let id = sidecar.id();
        Self { id, dumps: folder.join(format!("callgrind.{id}")), reads: 0 }
    }

    fn read(&mut self) -> u64 {
        self.reads += 1;
        let output = Command::new("callgrind_control").args(["--dump", &self.id.to_string()]).output();
        let output = output.expect("callgrind_control, of the package valgrind, runs");
        let path = format!("{}.{}", self.dumps.display(), self.reads);
        let dump = std::fs::read_to_string(&path).unwrap_or_default();
        instructions_in(&dump).unwrap_or_else(|| panic!("no count in {path}: {output:?}"))
    }
}

/// The total of a dump.
fn instructions_in(dump: &str) -> Option<u64> {
    let totals = dump.lines().rev().find_map(|line| line.strip_prefix("totals:"))?;
    totals.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_stands_at_the_end_of_a_dump() {
        assert_eq!(instructions_in("version: 1\nevents: Ir\nfn=(1)\n5 7\n\ntotals: 123456\n"), Some(123_456));
        assert_eq!(instructions_in("version: 1\n"), None);
    }
}
