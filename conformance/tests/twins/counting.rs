//! An allocator that counts what sidecars ask it for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

/// The system's allocator, and how often it was asked by threads of a sidecar.
pub struct Counting {
    count: AtomicU64,
}

thread_local! {
    /// Whether this thread is the client's or the application's.
    static EXCLUDED: Cell<bool> = const { Cell::new(false) };
}

/// Leaves this thread out of the count.
pub fn exclude_this_thread() {
    EXCLUDED.set(true);
}

impl Counting {
    pub const fn new() -> Self {
        Self { count: AtomicU64::new(0) }
    }

    /// How often it was asked so far.
    pub fn total(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    fn count(&self) {
        if !EXCLUDED.get() {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// SAFETY: everything is the system allocator's own; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: the caller's promises are those that are asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
