//! An open-loop generator: calls begin on a fixed schedule, whatever becomes of those before them, and their latency
//! counts from the time at which they should have begun.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// One call that has ended.
#[derive(Debug, Clone)]
pub struct Call {
    /// Its place in the schedule, from 0.
    pub number: u64,
    /// When it should have begun.
    pub intended: Instant,
    /// When its answer was complete.
    pub ended: Instant,
    /// Why there was none.
    pub failure: Option<String>,
}

impl Call {
    /// From the intended begin to the end.
    pub fn latency(&self) -> Duration {
        self.ended.duration_since(self.intended)
    }
}

/// A generator that runs until it is told to stop.
pub struct OpenLoop {
    stop: Arc<AtomicBool>,
    begun: Arc<AtomicU64>,
    ended: Arc<AtomicU64>,
    pacing: JoinHandle<()>,
    collecting: tokio::task::JoinHandle<Outcome>,
}

impl OpenLoop {
    /// Begins `per_second` calls a second, made by `make` from their numbers, on `runtime`.
    pub fn start<F, Fut>(runtime: &Handle, per_second: u32, make: F) -> Self
    where
        F: Fn(u64) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let (begun, ended) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (ticks, mut due) = mpsc::unbounded_channel::<(u64, Instant)>();
        let interval = Duration::from_secs(1) / per_second.max(1);
        let stopped = stop.clone();
        // A thread of its own: the runtime's timer counts in whole milliseconds.
        let pacing = std::thread::spawn(move || {
            let mut next = Instant::now();
            for number in 0.. {
                let now = Instant::now();
                if next > now {
                    std::thread::sleep(next - now);
                }
                if stopped.load(Ordering::Relaxed) || ticks.send((number, next)).is_err() {
                    return;
                }
                next += interval;
            }
        });
        let (counted, done) = (begun.clone(), ended.clone());
        let collecting = runtime.spawn(async move {
            let (results, mut finished) = mpsc::unbounded_channel();
            let collecting = tokio::spawn(async move {
                let mut outcome = Outcome::default();
                while let Some(call) = finished.recv().await {
                    outcome.add(call);
                }
                outcome
            });
            while let Some((number, intended)) = due.recv().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let (call, results, done) = (make(number), results.clone(), done.clone());
                tokio::spawn(async move {
                    let failure = call.await.err();
                    done.fetch_add(1, Ordering::Relaxed);
                    let _ = results.send(Call { number, intended, ended: Instant::now(), failure });
                });
            }
            drop(results);
            collecting.await.unwrap_or_default()
        });
        Self { stop, begun, ended, pacing, collecting }
    }

    /// Calls that have begun and not ended.
    pub fn in_flight(&self) -> u64 {
        self.begun.load(Ordering::Relaxed).saturating_sub(self.ended.load(Ordering::Relaxed))
    }

    /// Begins no more calls and waits for those that run.
    pub fn stop(self, runtime: &Handle) -> Outcome {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.pacing.join();
        runtime.block_on(self.collecting).unwrap_or_default()
    }
}

/// What became of the calls of a run.
#[derive(Debug)]
pub struct Outcome {
    /// Microseconds of those that were answered.
    pub latencies: Histogram<u64>,
    /// Numbers of those that were answered.
    pub answered: Vec<u64>,
    /// Those that were not.
    pub failures: Vec<Call>,
}

impl Default for Outcome {
    fn default() -> Self {
        let latencies = Histogram::new(3).expect("three significant digits are allowed");
        Self { latencies, answered: Vec::new(), failures: Vec::new() }
    }
}

impl Outcome {
    fn add(&mut self, call: Call) {
        if call.failure.is_some() {
            self.failures.push(call);
            return;
        }
        self.answered.push(call.number);
        let micros = u64::try_from(call.latency().as_micros()).unwrap_or(u64::MAX);
        // It grows as needed; nothing is out of range.
        let _ = self.latencies.record(micros.max(1));
    }

    /// All calls.
    pub fn total(&self) -> usize {
        self.answered.len() + self.failures.len()
    }

    /// The slowest answer.
    pub fn slowest(&self) -> Duration {
        Duration::from_micros(self.latencies.max())
    }

    /// The latency that `percent` of the answered calls did not exceed.
    pub fn percentile(&self, percent: f64) -> Duration {
        Duration::from_micros(self.latencies.value_at_percentile(percent))
    }

    /// Adds another run's.
    pub fn merge(&mut self, other: Self) {
        // Both grow as needed, so that nothing is out of range.
        let _ = self.latencies.add(other.latencies);
        self.answered.extend(other.answered);
        self.failures.extend(other.failures);
    }

    /// The first failures' texts, for a report.
    pub fn first_failures(&self) -> Vec<String> {
        self.failures.iter().take(5).filter_map(|call| call.failure.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_counts_for_all_calls_that_it_delays() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let lock = Arc::new(tokio::sync::Mutex::new(()));
        let held = runtime.block_on(lock.clone().lock_owned());
        let run = OpenLoop::start(runtime.handle(), 200, move |number| {
            let lock = lock.clone();
            async move {
                let _turn = lock.lock().await;
                if number == 3 { Err("three".to_owned()) } else { Ok(()) }
            }
        });
        while run.in_flight() < 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(held);
        let outcome = run.stop(runtime.handle());
        assert_eq!(outcome.failures.len(), 1);
        assert_eq!(outcome.first_failures(), ["three"]);
        // The first of 20 calls, 5 ms apart, has waited for all others.
        assert!(outcome.slowest() >= Duration::from_millis(90), "{:?}", outcome.slowest());
    }
}
