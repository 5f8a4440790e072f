//! The load generator: one thread, requests that were encoded once, answers that are read as far as it takes to know
//! that they are good. It costs about as much as `wrk`, so that it takes little from what is measured beside it.
//!
//! A schedule says when an exchange may begin ([`Pace`]), a protocol how it looks ([`Work`]), one loop does the rest.

mod connection;
mod counted;
mod http1;
mod http2;
mod schedule;
mod target;
#[cfg(test)]
mod tests;
mod work;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::machine::thread_cpu;
pub use counted::Counted;
pub use schedule::Pace;
use schedule::Schedule;
pub use target::Target;
pub use work::Work;

/// How long answers may take when nothing begins any more.
const GRACE: Duration = Duration::from_secs(60);

/// When exchanges begin, and how many.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    pub pace: Pace,
    /// How long exchanges begin; those that run then are waited for.
    pub duration: Duration,
    /// The most exchanges.
    pub count: Option<u64>,
}

/// What the connections of a run share. They are tasks of one thread, so that the lock is always free.
struct Shared {
    schedule: Schedule,
    counted: Mutex<Counted>,
    running: AtomicU64,
}

impl Shared {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks `work` of `target` as planned.
///
/// # Panics
/// The system has no descriptors left for a runtime.
pub fn run(work: &Work, target: &Target, plan: &Plan) -> Counted {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let cpu = thread_cpu();
    let mut counted = runtime.block_on(drive(work, target, plan));
    counted.cpu = thread_cpu().saturating_sub(cpu);
    counted
}

async fn drive(work: &Work, target: &Target, plan: &Plan) -> Counted {
    // Connections are made before the clock starts: they are no part of what is measured.
    let mut sockets = Vec::with_capacity(work.connections);
    for _ in 0..work.connections {
        sockets.push(target.connect().await.ok());
    }
    let begun = Instant::now();
    let shared = Arc::new(Shared {
        schedule: Schedule::new(plan, begun, sockets.len()),
        counted: Mutex::default(),
        running: AtomicU64::new(0),
    });
    let work = Arc::new(work.encoded(target));
    let mut tasks = JoinSet::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        tasks.spawn(connection::keep(number, work.clone(), target.clone(), shared.clone(), socket));
    }
    let ticking = shared.clone();
    tasks.spawn(async move { ticking.schedule.tick().await });
    let all = async { while tasks.join_next().await.is_some() {} };
    let unanswered = tokio::time::timeout(plan.duration + GRACE, all).await.is_err();
    let mut counted = std::mem::take(&mut *shared.counted());
    if unanswered {
        let running = shared.running.load(Ordering::Relaxed);
        counted.fail(running, || format!("no answer {GRACE:?} after the last request"));
    }
    counted.unbegun = shared.schedule.unbegun();
    counted.elapsed = begun.elapsed();
    counted
}
