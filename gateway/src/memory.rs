//! Memory that was freed, and that the allocator keeps for what may come, goes back to the system.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How often a thread does it at most: it takes up to a millisecond.
const PAUSE: Duration = Duration::from_secs(1);

thread_local! {
    static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Gives back what this thread has freed: after something that took much memory, when nothing is going on. Without it
/// the allocator does so the next time that it is asked for memory, which may be never. Does nothing when it was done
/// a moment ago.
pub fn give_back() {
    let now = Instant::now();
    if LAST.get().is_some_and(|last| now < last + PAUSE) {
        return;
    }
    LAST.set(Some(now));
    // SAFETY: it may be called at any time; memory in use is not touched.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_is_in_use_stays() {
        let kept = vec![7; 1 << 20];
        drop(vec![8; 1 << 20]);
        super::give_back();
        super::give_back();
        assert!(kept.iter().all(|byte| *byte == 7));
    }
}
