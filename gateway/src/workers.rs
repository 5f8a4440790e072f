//! One single-threaded runtime per core: a connection, and the connections it needs, stay on one thread.
//!
//! Measured against a work-stealing runtime this saves a fifth to a third of the CPU per request. Components and
//! everything that is no request run on the process's background runtime.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

/// The most worker threads; pools per worker are arrays of this many and one more for all other threads.
pub const MAX_WORKERS: usize = 64;

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(MAX_WORKERS) };
}

/// The index of the current worker thread, [`MAX_WORKERS`] on any other thread.
pub fn worker_index() -> usize {
    INDEX.get()
}

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The worker threads. Dropping the last handle lets them end when their tasks have.
#[derive(Clone)]
pub struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    senders: Vec<mpsc::UnboundedSender<Job>>,
    threads: std::sync::Mutex<Vec<JoinHandle<()>>>,
    next: AtomicUsize,
}

impl Workers {
    /// Starts `count` threads (1 to [`MAX_WORKERS`]).
    pub fn start(count: usize) -> io::Result<Self> {
        let mut senders = Vec::new();
        let mut threads = Vec::new();
        for index in 0..count.clamp(1, MAX_WORKERS) {
            let (sender, receiver) = mpsc::unbounded_channel::<Job>();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("ottavo-worker-{index}")).spawn(move || {
                INDEX.set(index);
                run(&runtime, receiver);
            })?;
            senders.push(sender);
            threads.push(thread);
        }
        let inner = Inner { senders, threads: std::sync::Mutex::new(threads), next: AtomicUsize::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// As many threads as this process has processors.
    pub fn for_this_machine() -> io::Result<Self> {
        Self::start(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Runs a future on the next worker. `make` is called there, so that what it makes need not be `Send`.
    pub fn spawn<F, Fut>(&self, make: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let next = self.inner.next.fetch_add(1, Ordering::Relaxed) % self.inner.senders.len();
        // A worker ends only with the process.
        let _ = self.inner.senders[next].send(Box::new(move || Box::pin(make())));
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.senders.clear();
        let threads = self.threads.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A worker that drops the last handle must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn run(runtime: &tokio::runtime::Runtime, mut receiver: mpsc::UnboundedReceiver<Job>) {
    let local = tokio::task::LocalSet::new();
    local.block_on(runtime, async move {
        while let Some(job) = receiver.recv().await {
            tokio::task::spawn_local(job());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_run_on_workers_in_turn() {
        let workers = Workers::start(2).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        for _ in 0..4 {
            let sender = sender.clone();
            workers.spawn(move || async move {
                sender.send(worker_index()).unwrap();
            });
        }
        let mut seen: Vec<usize> = (0..4).map(|_| receiver.recv().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 0, 1, 1]);
        assert_eq!(worker_index(), MAX_WORKERS);
    }
}
