//! Something for each worker thread, and one more for all other threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::workers::{MAX_WORKERS, worker_index};

/// Values by thread. A lock is only ever contended by the threads that are no workers, and by what a thread gives
/// back for another.
pub struct Slots<T>(Box<[Mutex<T>]>);

impl<T: Default> Slots<T> {
    pub fn new() -> Self {
        Self((0..=MAX_WORKERS).map(|_| Mutex::default()).collect())
    }

    /// The index of the current thread.
    pub fn here(&self) -> usize {
        worker_index().min(MAX_WORKERS)
    }

    /// One after the other.
    pub fn all(&self) -> impl Iterator<Item = MutexGuard<'_, T>> {
        (0..self.0.len()).map(|index| self.lock(index))
    }

    pub fn lock(&self, index: usize) -> MutexGuard<'_, T> {
        self.0[index.min(MAX_WORKERS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
