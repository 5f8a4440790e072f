//! What a sidecar costs before any request: its start, its memory, its size, its CPU when nothing happens.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Settings;
use super::report::{Document, Standing};
use super::statistics::median;
use super::subject::Subject;
use crate::load::cpu_of;

/// Starts of each subject.
const STARTS: usize = 10;
/// How long nothing happens before memory is read.
const QUIET: Duration = Duration::from_secs(5);
/// How long idle CPU is watched.
const IDLE: Duration = Duration::from_secs(20);

/// Adds the rows that are wanted.
pub fn measure(settings: &Settings, wanted: &dyn Fn(&str) -> bool, document: &mut Document) {
    let subjects: Vec<Subject> = std::iter::once(Subject::Ottavo(settings.ottavo.clone()))
        .chain(settings.daprd.clone().map(Subject::Daprd))
        .collect();
    let mut add = |name: &str, unit: &str, goal: f64, measure: &dyn Fn(&Subject) -> f64| {
        if !wanted(name) {
            return;
        }
        eprintln!("… {name}");
        let values: Vec<f64> = subjects.iter().map(measure).collect();
        document.standing.push(Standing {
            name: name.to_owned(),
            unit: unit.to_owned(),
            goal,
            ours: values[0],
            theirs: values.get(1).copied(),
        });
    };
    add("P17 start to healthz 204, no components", "ms", 15.0, &start);
    add("P18 idle memory (VmRSS), no components", "MB", 12.0, &memory);
    add("P19 binary", "MB", 40.0, &size);
    add("P22 idle CPU in a minute", "ms", 20.0, &idle);
}

/// The median of several starts, in milliseconds.
fn start(subject: &Subject) -> f64 {
    let times: Vec<f64> = (0..STARTS)
        .filter_map(|_| {
            let builder = subject.sidecar("start")?;
            let begun = Instant::now();
            let sidecar = builder.start();
            let time = begun.elapsed().as_secs_f64() * 1e3;
            drop(sidecar);
            Some(time)
        })
        .collect();
    median(&times)
}

fn memory(subject: &Subject) -> f64 {
    subject.sidecar("memory").map_or(0.0, |builder| {
        let sidecar = builder.start();
        std::thread::sleep(QUIET);
        sidecar.resident_kib() as f64 / 1024.0
    })
}

fn idle(subject: &Subject) -> f64 {
    subject.sidecar("idle").map_or(0.0, |builder| {
        let sidecar = builder.start();
        std::thread::sleep(QUIET);
        let before = cpu_of(sidecar.id());
        std::thread::sleep(IDLE);
        let spent = cpu_of(sidecar.id()).saturating_sub(before);
        spent.as_secs_f64() * 1e3 * 60.0 / IDLE.as_secs_f64()
    })
}

fn size(subject: &Subject) -> f64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |facts| facts.len()) as f64 / 1e6;
    match subject {
        Subject::Ottavo(path) | Subject::Daprd(path) => length(path),
        Subject::Control => 0.0,
    }
}
