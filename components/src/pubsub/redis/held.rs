//! The entries that this process has in hand, so that nobody takes them for left behind.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::task::lock;

/// Entries by id, each with the time when its idle time was last set back.
#[derive(Default)]
pub(super) struct Held {
    entries: Mutex<HashMap<String, Instant>>,
}

impl Held {
    /// Takes an entry; false when it is in hand already.
    pub(super) fn take(&self, id: &str) -> bool {
        lock(&self.entries).insert(id.to_owned(), Instant::now()).is_none()
    }

    pub(super) fn has(&self, id: &str) -> bool {
        lock(&self.entries).contains_key(id)
    }

    pub(super) fn release(&self, id: &str) {
        lock(&self.entries).remove(id);
    }

    /// Entries that were not touched for `age`; they count as touched from now on.
    pub(super) fn touch_older_than(&self, age: Duration) -> Vec<String> {
        let now = Instant::now();
        let mut entries = lock(&self.entries);
        let old = entries.iter_mut().filter(|(_, touched)| now.duration_since(**touched) >= age);
        old.map(|(id, touched)| {
            *touched = now;
            id.clone()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_taken_once_and_touched_when_it_is_old() {
        let held = Held::default();
        assert!(held.take("1-0"));
        assert!(!held.take("1-0"));
        assert!(held.touch_older_than(Duration::from_secs(60)).is_empty());
        assert_eq!(held.touch_older_than(Duration::ZERO), ["1-0"]);
        held.release("1-0");
        assert!(!held.has("1-0") && held.touch_older_than(Duration::ZERO).is_empty());
    }
}
