//! Single-threaded runtimes: a connection, and the connections it needs, stay on one thread.
//!
//! Measured against a work-stealing runtime this saves a fifth to a third of the CPU per request. The thread that
//! starts the others is the first worker and runs everything that is no connection beside its share of them:
//! components, subscriptions, the life cycle. What a request hands to a component, and what a broker hands to the
//! application, then wakes no other thread.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// The most worker threads; pools per worker are arrays of this many and one more for all other threads.
pub const MAX_WORKERS: usize = 64;

/// The environment variable that sets the number of worker threads.
pub const VARIABLE: &str = "OTTAVO_WORKERS";

thread_local! {
    static INDEX: Cell<usize> = const { Cell::new(MAX_WORKERS) };
}

/// The index of the current worker thread, [`MAX_WORKERS`] on any other thread.
pub fn worker_index() -> usize {
    INDEX.get()
}

/// How many workers serve: what `given` (the variable's value) says, or one for every two processors that this process
/// may use: the others are the application's. On two processors one worker takes a tenth to a quarter less CPU for a
/// request than two, since threads that are hardly busy are woken for each request by themselves; two answer up to a
/// third more requests a second, where nothing else needs the processors.
///
/// # Errors
/// A value that is no number from 1 to [`MAX_WORKERS`].
pub fn count(given: Option<&str>) -> Result<usize, String> {
    let Some(given) = given else {
        return Ok(std::thread::available_parallelism().map_or(1, |count| count.get() / 2).clamp(1, MAX_WORKERS));
    };
    match given.parse() {
        Ok(count) if (1..=MAX_WORKERS).contains(&count) => Ok(count),
        _ => Err(format!("{VARIABLE} is {given:?}: it must be a number of threads from 1 to {MAX_WORKERS}")),
    }
}

/// The worker threads. Dropping the last handle lets them end when their tasks have.
#[derive(Clone)]
pub struct Workers {
    inner: Arc<Inner>,
}

struct Inner {
    handles: Vec<Handle>,
    others: std::sync::Mutex<Vec<Other>>,
    next: AtomicUsize,
}

/// A worker that has a thread of its own.
struct Other {
    thread: JoinHandle<()>,
    /// Its thread ends when this is dropped.
    _lives: oneshot::Sender<()>,
}

impl Workers {
    /// Makes the calling thread the first worker, by the runtime that it blocks on from now on, and starts the others:
    /// `count` in all (1 to [`MAX_WORKERS`]).
    ///
    /// # Errors
    /// A thread or a runtime cannot be had.
    pub fn start(first: &Runtime, count: usize) -> io::Result<Self> {
        INDEX.set(0);
        let mut handles = vec![first.handle().clone()];
        let mut others = Vec::new();
        for index in 1..count.clamp(1, MAX_WORKERS) {
            let runtime = single_threaded()?;
            handles.push(runtime.handle().clone());
            let (lives, ends) = oneshot::channel::<()>();
            let thread = std::thread::Builder::new().name(format!("ottavo-worker-{index}")).spawn(move || {
                INDEX.set(index);
                // An error is the end of the sender: nothing is ever sent.
                let _ = runtime.block_on(ends);
            })?;
            others.push(Other { thread, _lives: lives });
        }
        let inner = Inner { handles, others: std::sync::Mutex::new(others), next: AtomicUsize::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs a future on the next worker.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let next = self.inner.next.fetch_add(1, Ordering::Relaxed) % self.inner.handles.len();
        self.inner.handles[next].spawn(future);
    }
}

/// A runtime for one worker.
///
/// # Errors
/// The system gives no descriptors for it.
pub fn single_threaded() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

impl Drop for Inner {
    fn drop(&mut self) {
        let others = self.others.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        for Other { thread, _lives: lives } in others.drain(..) {
            drop(lives);
            // A worker that drops the last handle must not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn futures_run_on_workers_in_turn() {
        assert_eq!(worker_index(), MAX_WORKERS);
        let runtime = single_threaded().unwrap();
        let workers = Workers::start(&runtime, 2).unwrap();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        for _ in 0..4 {
            let sender = sender.clone();
            workers.spawn(async move { sender.send(worker_index()).unwrap() });
        }
        let mut seen = runtime.block_on(async {
            let mut seen = Vec::new();
            for _ in 0..4 {
                seen.push(receiver.recv().await.unwrap());
            }
            seen
        });
        seen.sort_unstable();
        assert_eq!(seen, [0, 0, 1, 1]);
    }

    #[test]
    fn the_variable_says_how_many_and_nonsense_is_refused() {
        assert_eq!(count(Some("3")), Ok(3));
        assert!(count(None).unwrap() >= 1);
        for nonsense in ["", "0", "-1", "many", "65"] {
            assert!(count(Some(nonsense)).unwrap_err().contains(nonsense));
        }
    }
}
