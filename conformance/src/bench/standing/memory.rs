//! P18: resident memory, at rest and after work.

use std::process::Command;
use std::time::Duration;

use super::{Lengths, Row, paths, settled};
use crate::bench::scenarios::Scenario;
use crate::bench::scenarios::invoke;
use crate::bench::subject::Subject;
use crate::target::{Process, free_ports};

pub fn rows(lengths: &Lengths) -> Vec<Row<'_>> {
    vec![
        Row::new("P18 idle memory (VmRSS), no components", "MB", 12.0, at_rest),
        Row::new("P18 memory after invocations, the larger of two sidecars", "MB", 16.0, |subject| {
            after_load(subject, Duration::from_secs(lengths.load))
        }),
        Row::new("P18 growth over distinct paths and keys", "MB", 2.0, |subject| paths::growth(subject, lengths.paths)),
        Row::new("P18 idle memory of `ottavo run`, its defaults", "MB", 16.0, of_run),
    ]
}

fn at_rest(subject: &Subject) -> Option<f64> {
    let sidecar = subject.sidecar("memory")?.start();
    Some(settled(sidecar.id()))
}

/// After P1's requests.
fn after_load(subject: &Subject, load: Duration) -> Option<f64> {
    let running = invoke::Http.start(subject)?;
    let counted = (running.drive)(load);
    if counted.errors > 0 {
        eprintln!("… {} requests failed, the first: {:?}", counted.errors, counted.first_error);
    }
    running.ids.iter().map(|id| settled(*id)).reduce(f64::max)
}

/// `ottavo run` alone, as a user starts it on a fresh machine.
fn of_run(subject: &Subject) -> Option<f64> {
    let Subject::Ottavo(binary) = subject else { return None };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let ports: [u16; 3] = free_ports();
    let mut command = Command::new(binary);
    command.current_dir(folder.path()).args(["run", "--data-dir", "data"]);
    for (flag, port) in ["--http-port", "--grpc-port", "--metrics-port"].iter().zip(ports) {
        command.args([*flag, &port.to_string()]);
    }
    let mut process = Process::start(command, &folder.path().join("log"));
    process.wait_until("ready", Duration::from_secs(30), || {
        std::fs::read_to_string(folder.path().join("log")).is_ok_and(|log| log.contains("dapr initialized"))
    });
    Some(settled(process.id()))
}
