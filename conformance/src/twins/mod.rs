//! Twins of the benchmark that count in place of timing: system calls, instructions and allocations of one request, on
//! the hottest paths. A loaded machine changes them little, so that tests can hold them to recorded bounds.
//!
//! Each count is a difference: that of `2 N` requests less that of `N`, over `N`. What connections and starts cost is in
//! both, and cancels out.

mod bounds;
mod instructions;
mod paths;
mod processor;
mod syscalls;

use std::path::PathBuf;

pub use bounds::{Kind, hold};
pub use instructions::instructions;
pub use paths::{HotPath, Running};
pub use processor::share_one;
pub use syscalls::syscalls;

/// The binary as it is released, which alone has bounds: `OTTAVO_BIN`, or that of the release profile.
///
/// # Panics
/// There is none.
pub fn released() -> PathBuf {
    let given = std::env::var_os("OTTAVO_BIN").map(PathBuf::from);
    let binary = given.unwrap_or_else(|| {
        let own = std::env::current_exe().expect("a program has a path");
        // `target/<profile>/deps/test`.
        own.ancestors().nth(3).expect("a test is in a target folder").join("release").join("ottavo")
    });
    assert!(binary.exists(), "{} is missing: cargo build --release -p gateway makes it", binary.display());
    binary
}

/// What one request costs, by a meter that tells what so many cost together.
pub fn per_request(requests: u64, mut meter: impl FnMut(u64) -> u64) -> f64 {
    let once = meter(requests);
    let twice = meter(2 * requests);
    (twice as f64 - once as f64) / requests as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_grow_with_requests_cancels_out() {
        assert!((per_request(100, |requests| 1000 + 7 * requests) - 7.0).abs() < 1e-9);
    }
}
