//! System calls of one request, counted by `strace`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{HotPath, per_request};
use crate::target::{Process, Sidecar};

/// Requests of the smaller of two counts.
const REQUESTS: u64 = 400;
/// How long `strace` may take to attach, and to let go.
const PATIENCE: Duration = Duration::from_secs(20);

/// System calls of the sidecars for one request, one at a time, of the program `binary`.
///
/// # Panics
/// `strace` (Debian's package) is missing or may not attach, or requests fail.
pub fn syscalls(path: HotPath, binary: &Path) -> f64 {
    let start = |builder: crate::target::Builder| {
        let sidecar = builder.binary(binary).start();
        (sidecar.http, sidecar.grpc, sidecar)
    };
    let running = path.start(start, || ());
    running.drive(REQUESTS);
    per_request(REQUESTS, |requests| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut traces: Vec<Trace> =
            running.sidecars.iter().map(|sidecar: &Sidecar| Trace::attach(sidecar.id(), folder.path())).collect();
        running.drive(requests);
        traces.iter_mut().map(Trace::finish).sum()
    })
}

/// A running `strace` of all threads of a process.
struct Trace {
    process: Process,
    summary: std::path::PathBuf,
}

impl Trace {
    fn attach(id: u32, folder: &Path) -> Self {
        let summary = folder.join(format!("{id}.summary"));
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-U", "name,calls", "-o"]).arg(&summary).args(["-p", &id.to_string()]);
        let log = folder.join(format!("{id}.log"));
        let mut process = Process::start(command, &log);
        process.wait_until("attached", PATIENCE, || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("attached"))
        });
        Self { process, summary }
    }

    /// Lets the process go; how many calls it made.
    fn finish(&mut self) -> u64 {
        self.process.terminate();
        self.process.wait(PATIENCE);
        let text = std::fs::read_to_string(&self.summary).unwrap_or_default();
        calls_in(&text).unwrap_or_else(|| panic!("no summary of strace: {text}{}", self.process.log()))
    }
}

/// The sum of a table of names and calls.
fn calls_in(summary: &str) -> Option<u64> {
    let lines = summary.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (name, calls) = (fields.next()?, fields.next()?);
        Some((name, calls.parse::<u64>().ok()?))
    });
    let calls: Vec<u64> = lines.filter(|(name, _)| *name != "total").map(|(_, calls)| calls).collect();
    (!calls.is_empty()).then(|| calls.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_summed_but_for_the_total() {
        let summary = "syscall              calls\n---------------- ---------\nread                    12\nwritev 30\n\
                       ---------------- ---------\ntotal                   42\n";
        assert_eq!(calls_in(summary), Some(42));
        assert_eq!(calls_in("nothing"), None);
    }
}
