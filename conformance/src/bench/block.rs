//! One block: a subject is driven for a time, and what it cost is read from the kernel.

use std::time::Duration;

use super::generator::Counted;
use super::machine::{self, Ticks};
use super::subject::Running;
use crate::load::cpu_of;

/// What was seen.
pub struct Block {
    pub counted: Counted,
    /// Nanoseconds of the subject's CPU a request.
    pub cpu: f64,
    /// Nanoseconds a request in which any processor of the machine worked, whoever is billed for it.
    pub machine: f64,
    /// The share of the time that other machines took.
    pub steal: f64,
    /// The most that each process had resident, in MB.
    pub peaks: Vec<f64>,
}

/// Drives `running` for `time`.
pub fn measure(running: &Running, time: Duration) -> Block {
    measured(&running.ids, || (running.drive)(time))
}

/// Reads what the processes `ids` cost while `drive` runs.
pub fn measured(ids: &[u32], drive: impl FnOnce() -> Counted) -> Block {
    ids.iter().for_each(|id| machine::forget_peak(*id));
    let (before, ticks) = (ids.iter().map(|id| cpu_of(*id)).collect::<Vec<_>>(), Ticks::now());
    let counted = drive();
    let spent: Duration = ids.iter().zip(before).map(|(id, before)| cpu_of(*id).saturating_sub(before)).sum();
    let now = Ticks::now();
    let requests = counted.requests.max(1) as f64;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    Block {
        cpu: spent.as_nanos() as f64 / requests,
        machine: now.busy_since(ticks) * processors * counted.elapsed.as_nanos() as f64 / requests,
        steal: now.steal_since(ticks),
        peaks: ids.iter().map(|id| machine::peak(*id)).collect(),
        counted,
    }
}
