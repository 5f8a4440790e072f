//! P22: CPU when nothing happens.

use std::time::Duration;

use super::{Lengths, QUIET, Row};
use crate::bench::subject::Subject;
use crate::load::cpu_of;

pub fn rows(lengths: &Lengths) -> Vec<Row<'_>> {
    vec![Row::new("P22 idle CPU in a minute", "ms", 20.0, |subject| spent(subject, Duration::from_secs(lengths.idle)))]
}

/// Milliseconds of CPU a minute.
fn spent(subject: &Subject, watched: Duration) -> Option<f64> {
    let sidecar = subject.sidecar("idle")?.start();
    std::thread::sleep(QUIET);
    let before = cpu_of(sidecar.id());
    std::thread::sleep(watched);
    let spent = cpu_of(sidecar.id()).saturating_sub(before);
    Some(spent.as_secs_f64() * 1e3 * 60.0 / watched.as_secs_f64())
}
