//! Guests that wait for their next call.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Result};

/// How many guests of one module there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Guests at once; who comes later waits.
    pub size: usize,
    /// How long a caller waits for one.
    pub patience: Duration,
    /// A guest that was not called for this long makes room.
    pub idle: Duration,
    /// Guests that stay although nobody calls them.
    pub least: usize,
    /// Calls after which a guest gives way to a new one: not every guest gives back all the memory that it takes.
    pub calls: u32,
    /// Bytes by which a guest's memory may grow until it gives way to a new one.
    pub growth: usize,
    /// What the operator raises to have more of them, for the text of an error.
    pub setting: &'static str,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            size: 500,
            patience: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            least: 0,
            calls: u32::MAX,
            growth: usize::MAX,
            setting: "poolSize",
        }
    }
}

/// Living guests of one module.
pub(crate) struct Pool<G> {
    settings: PoolSettings,
    /// The latest at the back: it is taken first, its memory is warm.
    idle: Mutex<VecDeque<(G, Instant)>>,
    slots: Arc<Semaphore>,
}

impl<G: Send> Pool<G> {
    pub fn new(settings: PoolSettings) -> Self {
        let slots = Arc::new(Semaphore::new(settings.size.clamp(1, Semaphore::MAX_PERMITS)));
        Self { settings, idle: Mutex::default(), slots }
    }

    /// A guest for the caller alone: an idle one, or what `make` makes.
    ///
    /// # Errors
    /// [`Error::Busy`] when none became free in time, and those of `make`.
    pub async fn take<F>(self: &Arc<Self>, guest: &str, make: impl FnOnce() -> F) -> Result<Taken<G>>
    where
        F: Future<Output = Result<G>>,
    {
        let slot = match self.slots.clone().try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                let slot = tokio::time::timeout(self.settings.patience, self.slots.clone().acquire_owned()).await;
                slot.ok().and_then(|slot| slot.ok()).ok_or_else(|| {
                    let PoolSettings { size, patience, setting, .. } = self.settings;
                    Error::Busy(format!(
                        "all {size} guests of {guest} were at work for {patience:?}: raise {setting} if there should be more"
                    ))
                })?
            }
        };
        let idle = self.idle().pop_back();
        let value = match idle {
            Some((value, _)) => value,
            None => make().await?,
        };
        Ok(Taken { value: Some(value), pool: self.clone(), _slot: slot })
    }

    /// Puts a guest here that nobody has called yet.
    pub fn add(&self, guest: G) {
        self.idle().push_back((guest, Instant::now()));
    }

    /// Guests that are at work now.
    pub fn busy(&self) -> usize {
        self.settings.size.clamp(1, Semaphore::MAX_PERMITS) - self.slots.available_permits()
    }

    /// Guests that wait.
    pub fn waiting(&self) -> usize {
        self.idle().len()
    }

    /// Lets guests go that have waited for `idle`, but for [`PoolSettings::least`].
    pub fn trim(&self, idle: Duration) {
        let mut waiting = self.idle();
        let spare = waiting.len().saturating_sub(self.settings.least);
        let old = waiting.iter().take(spare).take_while(|(_, since)| since.elapsed() >= idle).count();
        let old: Vec<_> = waiting.drain(..old).collect();
        // What a guest leaves behind takes its time: others may use the pool meanwhile.
        drop(waiting);
        drop(old);
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, VecDeque<(G, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give_back(&self, guest: G) {
        let mut idle = self.idle();
        idle.push_back((guest, Instant::now()));
        // One a time is enough: they come back as fast as they go.
        let is_old = idle.front().is_some_and(|(_, since)| since.elapsed() > self.settings.idle);
        let old = if is_old && idle.len() > self.settings.least { idle.pop_front() } else { None };
        drop(idle);
        drop(old);
    }
}

/// A guest of a pool. It is thrown away unless it is given back: who does not finish a call leaves a guest in an
/// unknown state.
pub(crate) struct Taken<G: Send> {
    value: Option<G>,
    pool: Arc<Pool<G>>,
    _slot: OwnedSemaphorePermit,
}

impl<G: Send> Taken<G> {
    /// The guest is ready for the next call.
    pub fn give_back(mut self) {
        if let Some(guest) = self.value.take() {
            self.pool.give_back(guest);
        }
    }

    pub fn get(&mut self) -> Result<&mut G> {
        self.value.as_mut().ok_or_else(|| Error::Busy("this guest was given back already".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(settings: PoolSettings) -> Arc<Pool<u32>> {
        Arc::new(Pool::new(settings))
    }

    #[tokio::test]
    async fn a_guest_comes_back_only_when_it_is_given_back() {
        let pool = pool(PoolSettings::default());
        let mut taken = pool.take("x", async || Ok(1)).await.unwrap();
        assert_eq!(*taken.get().unwrap(), 1);
        taken.give_back();
        drop(pool.take("x", async || Ok(2)).await.unwrap());
        assert_eq!(pool.waiting(), 0);
        let mut taken = pool.take("x", async || Ok(3)).await.unwrap();
        assert_eq!(*taken.get().unwrap(), 3);
    }

    #[tokio::test]
    async fn callers_wait_for_a_slot_and_then_give_up() {
        let pool = pool(PoolSettings { size: 1, patience: Duration::from_millis(50), ..PoolSettings::default() });
        let first = pool.take("x", async || Ok(1)).await.unwrap();
        let error = pool.take("x", async || Ok(2)).await.err().unwrap();
        assert!(error.is_busy() && error.to_string().contains("poolSize"), "{error}");
        let (waiting, ()) = tokio::join!(pool.take("x", async || Ok(2)), async { first.give_back() });
        assert_eq!(*waiting.unwrap().get().unwrap(), 1);
    }

    #[test]
    fn guests_are_let_go_but_for_the_least() {
        let pool = pool(PoolSettings { least: 1, ..PoolSettings::default() });
        for guest in 0..3 {
            pool.add(guest);
        }
        pool.trim(Duration::from_secs(60));
        assert_eq!(pool.waiting(), 3);
        pool.trim(Duration::ZERO);
        assert_eq!(pool.waiting(), 1);
    }

    #[tokio::test]
    async fn guests_that_were_idle_for_long_make_room() {
        let pool = pool(PoolSettings { idle: Duration::ZERO, ..PoolSettings::default() });
        for guest in 0..3 {
            pool.add(guest);
        }
        let taken = pool.take("x", async || Ok(9)).await.unwrap();
        std::thread::sleep(Duration::from_millis(1));
        taken.give_back();
        assert_eq!(pool.waiting(), 2);
    }
}
