//! Combinations of label values, each kept once: a path is in five metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::family::Labels;

/// The combinations in use, by their hash.
#[derive(Default)]
pub struct LabelSets(Mutex<HashMap<u64, Weak<[Box<str>]>>>);

impl LabelSets {
    /// The combination, which another metric may have already.
    pub fn share(&self, labels: &Labels<'_>) -> Arc<[Box<str>]> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = sets.get(&labels.hash).and_then(Weak::upgrade);
        if let Some(known) = known
            && known.iter().map(AsRef::as_ref).eq(labels.values.iter().copied())
        {
            return known;
        }
        let set: Arc<[Box<str>]> = labels.values.iter().map(|value| Box::from(*value)).collect();
        // Another combination with this hash, which is as good as impossible, is no longer shared.
        sets.insert(labels.hash, Arc::downgrade(&set));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_combinations_are_one() {
        let sets = LabelSets::default();
        let first = sets.share(&Labels::new(&["shop", "GET", "/a"]));
        let same = sets.share(&Labels::new(&["shop", "GET", "/a"]));
        assert!(Arc::ptr_eq(&first, &same));
        let other =
            sets.share(&Labels { values: &["shop", "GET", "/b"], hash: Labels::new(&["shop", "GET", "/a"]).hash });
        assert_eq!(&*other[2], "/b");
    }
}
