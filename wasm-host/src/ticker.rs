//! The clock of running guests: a thread that moves the engine's epoch on, and sleeps while no guest runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Ticks after the last guest has returned. The next call soon after then needs no wake-up.
const LINGER: u32 = 50;

/// Owns the thread; dropping it ends the thread.
pub struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    running: AtomicUsize,
    stopped: AtomicBool,
    sleeps: Mutex<bool>,
    wake: Condvar,
}

impl Shared {
    fn wake(&self) {
        let sleeps = self.sleeps.lock().unwrap_or_else(PoisonError::into_inner);
        if *sleeps {
            self.wake.notify_one();
        }
    }

    /// Blocks while no guest runs.
    fn sleep(&self) {
        let mut sleeps = self.sleeps.lock().unwrap_or_else(PoisonError::into_inner);
        while self.running.load(Ordering::SeqCst) == 0 && !self.stopped.load(Ordering::SeqCst) {
            *sleeps = true;
            sleeps = self.wake.wait(sleeps).unwrap_or_else(PoisonError::into_inner);
        }
        *sleeps = false;
    }
}

impl Ticker {
    /// `tick` is called every `period` while a [`Running`] exists.
    pub fn start(period: Duration, tick: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            running: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            sleeps: Mutex::new(false),
            wake: Condvar::new(),
        });
        let of_thread = shared.clone();
        let thread = std::thread::Builder::new().name("wasm-ticker".into()).spawn(move || {
            let mut idle = 0;
            while !of_thread.stopped.load(Ordering::SeqCst) {
                if of_thread.running.load(Ordering::SeqCst) > 0 {
                    idle = 0;
                } else if idle < LINGER {
                    idle += 1;
                } else {
                    of_thread.sleep();
                    continue;
                }
                std::thread::sleep(period);
                tick();
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Keeps the clock going until the value is dropped.
    pub fn running(&self) -> Running {
        if self.shared.running.fetch_add(1, Ordering::SeqCst) == 0 {
            self.shared.wake();
        }
        Running(self.shared.clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A guest is at work.
pub struct Running(Arc<Shared>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::time::Instant;

    use super::*;

    fn wait_for(what: impl Fn() -> bool) {
        let begin = Instant::now();
        while !what() {
            assert!(begin.elapsed() < Duration::from_secs(20), "it never happened");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn it_ticks_while_a_guest_runs_and_sleeps_otherwise() {
        let ticks = Arc::new(AtomicU32::new(0));
        let counter = ticks.clone();
        let ticker = Ticker::start(Duration::from_micros(100), move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        let is_asleep = || *ticker.shared.sleeps.lock().unwrap();
        for _ in 0..2 {
            wait_for(is_asleep);
            let before = ticks.load(Ordering::SeqCst);
            let running = ticker.running();
            wait_for(|| ticks.load(Ordering::SeqCst) > before + 2 * LINGER);
            drop(running);
        }
        wait_for(is_asleep);
    }
}
