//! Which messages came to an application, and which it has answered. Replicas may share one record.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Messages by their number.
#[derive(Debug, Default)]
pub struct Events {
    seen: Mutex<HashMap<u64, Seen>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    received: u32,
    answered: u32,
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message has arrived.
    pub fn receive(&self, number: u64) {
        self.lock().entry(number).or_default().received += 1;
    }

    /// The application's answer to a message is on its way.
    pub fn answer(&self, number: u64) {
        self.lock().entry(number).or_default().answered += 1;
    }

    /// How many different messages have arrived.
    pub fn received(&self) -> usize {
        self.lock().values().filter(|seen| seen.received > 0).count()
    }

    /// How many arrivals were repetitions.
    pub fn repeated(&self) -> u64 {
        self.lock().values().map(|seen| u64::from(seen.received.saturating_sub(1))).sum()
    }

    /// Whether an answer to this message was given, at least once.
    pub fn is_answered(&self, number: u64) -> bool {
        self.lock().get(&number).is_some_and(|seen| seen.answered > 0)
    }

    /// Those of `numbers` that never arrived.
    pub fn missing(&self, numbers: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let seen = self.lock();
        numbers.into_iter().filter(|number| seen.get(number).is_none_or(|seen| seen.received == 0)).collect()
    }
}
