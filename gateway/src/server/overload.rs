//! Whether the workers keep up with what is asked of them, and which share of it is refused while they do not.
//!
//! The measure is how long a task that is ready waits for its turn on a worker. An application that is slow does not
//! lengthen it, however many calls wait for its answer; more work than the processor can do does. The least delay of a
//! window counts, so that a burst or a pause of the process does not. This has no like in daprd 1.18, which takes in
//! everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::workers::{MAX_WORKERS, worker_index};

/// The environment variable that sets the delay from which on requests are refused; `0` for never.
pub const OVERLOAD_DELAY: &str = "OTTAVO_OVERLOAD_DELAY";

const DELAY: Duration = Duration::from_millis(25);
const TICK: Duration = Duration::from_millis(10);
/// Measurements of a window.
const TICKS: u32 = 5;
/// Requests at once on one worker up to which it is not watched: a sidecar that is not busy has no timer.
const FEW: usize = 16;
/// Shares are parts of this many.
const ALL: u32 = 1024;
/// Some of what is asked must be done, or there would be no end to it.
const MOST: u32 = ALL * 15 / 16;
/// By how much the share grows for each delay that is waited for, and shrinks in a window without.
const STEP_UP: u32 = ALL / 16;
const STEP_DOWN: u32 = ALL / 64;
/// By how much the share grows at most in a window.
const MOST_UP: u32 = ALL / 4;

/// Watches the workers of a process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Overload(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    delay: Duration,
    workers: Box<[Worker]>,
}

#[derive(Debug, Default)]
struct Worker {
    under_way: AtomicUsize,
    is_watched: AtomicBool,
    /// How many of [`ALL`] are refused.
    share: AtomicU32,
    /// Grows by the share with each request; one is refused when it passes [`ALL`].
    turn: AtomicU32,
}

/// A request that was let in.
#[derive(Debug)]
pub struct UnderWay(Option<(Arc<Inner>, usize)>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some((inner, index)) = &self.0 {
            inner.workers[*index].under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Overload {
    /// Watches for `given` (the variable's value, a Go duration), or 25 ms.
    ///
    /// # Errors
    /// A value that is no duration.
    pub fn new(given: Option<&str>) -> Result<Self, String> {
        let delay = match given {
            None => DELAY,
            Some("0") => return Ok(Self(None)),
            Some(text) => components::metadata::parse_go_duration(text).ok_or_else(|| {
                format!("{OVERLOAD_DELAY} is {text:?}: it must be a duration such as 25ms, or 0 to refuse nothing")
            })?,
        };
        if delay.is_zero() {
            return Ok(Self(None));
        }
        let workers = std::iter::repeat_with(Worker::default).take(MAX_WORKERS + 1).collect();
        Ok(Self(Some(Arc::new(Inner { delay, workers }))))
    }

    /// Lets a request in; `None`: it is refused. Called on the worker that has the request.
    pub fn enter(&self) -> Option<UnderWay> {
        let Some(inner) = &self.0 else { return Some(UnderWay(None)) };
        let index = worker_index();
        let worker = &inner.workers[index];
        if worker.refuses() {
            return None;
        }
        let under_way = worker.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        if under_way > FEW && !worker.is_watched.swap(true, Ordering::Relaxed) {
            tokio::spawn(watch(inner.clone(), index));
        }
        Some(UnderWay(Some((inner.clone(), index))))
    }
}

impl Worker {
    fn refuses(&self) -> bool {
        let share = self.share.load(Ordering::Relaxed);
        if share == 0 {
            return false;
        }
        let turn = self.turn.fetch_add(share, Ordering::Relaxed) % ALL;
        turn + share >= ALL
    }

    /// Takes in the least delay of a window. Gives the share from now on.
    fn adapt(&self, least: Duration, bound: Duration) -> u32 {
        let share = self.share.load(Ordering::Relaxed);
        let next = if least > bound {
            let delays = u32::try_from(least.as_micros() / bound.as_micros().max(1)).unwrap_or(u32::MAX);
            share.saturating_add(delays.saturating_mul(STEP_UP).min(MOST_UP)).min(MOST)
        } else if least < bound / 2 {
            share.saturating_sub(STEP_DOWN)
        } else {
            share
        };
        self.share.store(next, Ordering::Relaxed);
        next
    }
}

/// Measures while a worker has more than a few requests, or refuses some.
async fn watch(inner: Arc<Inner>, index: usize) {
    let worker = &inner.workers[index];
    loop {
        let mut least = Duration::MAX;
        for _ in 0..TICKS {
            tokio::time::sleep(TICK).await;
            let ready = Instant::now();
            tokio::task::yield_now().await;
            least = least.min(ready.elapsed());
        }
        let before = worker.share.load(Ordering::Relaxed);
        let share = worker.adapt(least, inner.delay);
        if before == 0 && share > 0 {
            tracing::warn!(
                target: "dapr.runtime",
                "Requests wait {least:?} for a processor: as many are refused with 429 or RESOURCE_EXHAUSTED as it takes to \
                 wait no longer than {:?} ({OVERLOAD_DELAY})", inner.delay
            );
        }
        if share == 0 && worker.under_way.load(Ordering::Relaxed) <= FEW {
            worker.is_watched.store(false, Ordering::Relaxed);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_of_a_half_refuses_every_other() {
        let worker = Worker::default();
        assert!(!worker.refuses());
        worker.share.store(ALL / 2, Ordering::Relaxed);
        let refused = (0..100).filter(|_| worker.refuses()).count();
        assert_eq!(refused, 50);
    }

    #[test]
    fn the_share_follows_the_delay() {
        let worker = Worker::default();
        let bound = Duration::from_millis(20);
        assert_eq!(worker.adapt(Duration::from_millis(19), bound), 0);
        let grown = worker.adapt(Duration::from_millis(50), bound);
        assert_eq!(grown, 2 * STEP_UP);
        assert_eq!(worker.adapt(Duration::from_millis(15), bound), grown, "neither too much nor little");
        assert_eq!(worker.adapt(Duration::from_millis(1), bound), grown - STEP_DOWN);
        for _ in 0..100 {
            worker.adapt(Duration::from_secs(9), bound);
        }
        assert_eq!(worker.share.load(Ordering::Relaxed), MOST);
    }

    #[test]
    fn the_variable_is_a_duration() {
        assert!(Overload::new(Some("0")).unwrap().0.is_none());
        assert_eq!(Overload::new(Some("1s")).unwrap().0.unwrap().delay, Duration::from_secs(1));
        assert!(Overload::new(Some("soon")).unwrap_err().contains("soon"));
    }

    #[tokio::test]
    async fn a_worker_that_is_late_refuses_and_recovers() {
        let overload = Overload::new(Some("1ms")).unwrap();
        let mut waiting = Vec::new();
        // Other work of this thread, which takes five times as long as is borne.
        let busy = tokio::spawn(async {
            loop {
                let begun = Instant::now();
                while begun.elapsed() < Duration::from_millis(5) {
                    std::hint::spin_loop();
                }
                tokio::task::yield_now().await;
            }
        });
        let begun = Instant::now();
        let refused = loop {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing was refused");
            match overload.enter() {
                Some(under_way) if waiting.len() < 100 => waiting.push(under_way),
                Some(_) => {}
                None => break true,
            }
            tokio::task::yield_now().await;
        };
        assert!(refused);
        busy.abort();
        waiting.clear();
        let inner = overload.0.clone().unwrap();
        while inner.workers[worker_index()].is_watched.load(Ordering::Relaxed) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it goes on refusing");
            tokio::time::sleep(TICK).await;
        }
        assert!(overload.enter().is_some());
    }
}
