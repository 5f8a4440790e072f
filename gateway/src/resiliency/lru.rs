//! A small map that forgets what was not used for longest.

use std::collections::HashMap;

/// At most `capacity` entries. Looking for the oldest walks all, which happens only for a new key in a full map.
pub struct Lru<V> {
    capacity: usize,
    clock: u64,
    entries: HashMap<Box<str>, (u64, V)>,
}

impl<V: Clone> Lru<V> {
    pub fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), clock: 0, entries: HashMap::new() }
    }

    /// The value of `key`, made by `make` when it is not there.
    pub fn get_or_insert(&mut self, key: &str, make: impl FnOnce() -> V) -> V {
        self.clock += 1;
        if let Some((used, value)) = self.entries.get_mut(key) {
            *used = self.clock;
            return value.clone();
        }
        if self.entries.len() >= self.capacity {
            let oldest = self.entries.iter().min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                self.entries.remove(&oldest);
            }
        }
        let value = make();
        self.entries.insert(key.into(), (self.clock, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_entry_goes_first() {
        let mut lru = Lru::new(2);
        lru.get_or_insert("a", || 1);
        lru.get_or_insert("b", || 2);
        lru.get_or_insert("a", || 10);
        lru.get_or_insert("c", || 3);
        assert_eq!(lru.get_or_insert("a", || 10), 1);
        assert_eq!(lru.get_or_insert("b", || 20), 20);
    }
}
