//! A background task with an owner: whoever holds a [`Task`] can end it and wait for its end.

use std::future::Future;
use std::sync::Mutex;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A spawned task and the token that ends it. Dropping it asks the task to end without waiting.
pub struct Task {
    token: CancellationToken,
    handle: Mutex<Option<JoinHandle<()>>>,
}

impl Task {
    /// Spawns what `run` makes of the token; it has to return soon after the token is cancelled.
    pub fn spawn<F, Fut>(run: F) -> Self
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let token = CancellationToken::new();
        let handle = tokio::spawn(run(token.clone()));
        Self { token, handle: Mutex::new(Some(handle)) }
    }

    /// Asks the task to end and waits until it has. A second call returns at once.
    pub async fn stop(&self) {
        self.token.cancel();
        let handle = lock(&self.handle).take();
        if let Some(handle) = handle
            && let Err(error) = handle.await
            && error.is_panic()
        {
            tracing::error!("a background task of a component ended by a panic: {error}");
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// Locks, also after another holder panicked: what the components guard stays usable at every step.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
