//! How the engine is built, and how much one guest may use.

use std::path::PathBuf;
use std::time::Duration;

/// How the one engine of a process is built.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many guests can live at once, over all modules. Each costs address space only, until it runs.
    pub instances: u32,
    /// Whether guests get their memory from a pool that is mapped at the start: a fresh guest then costs microseconds.
    /// Where the address space cannot be had (`ulimit -v`), the engine says so and does without.
    pub pooling: bool,
    /// Whether guests count instructions, for [`Limits::fuel`]. All guests become about twice as slow.
    pub fuel: bool,
    /// Where compiled modules are kept between starts. `None`: every start compiles.
    pub cache: Option<PathBuf>,
    /// How often running guests are asked whether their time is over, and give way to other work on their thread.
    pub tick: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { instances: 1000, pooling: true, fuel: false, cache: None, tick: Duration::from_millis(1) }
    }
}

/// How much one guest may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of linear memory. More makes `memory.grow` fail in the guest.
    pub memory: usize,
    /// Elements of all tables.
    pub table_elements: usize,
    /// Time that one call may compute. Waiting for the host does not count.
    pub time: Duration,
    /// Time that one call may take, waiting included. `None`: as long as the caller waits.
    pub wall: Option<Duration>,
    /// Instructions of one call, about; needs [`Settings::fuel`].
    pub fuel: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory: 64 << 20, table_elements: 20_000, time: Duration::from_secs(5), wall: None, fuel: None }
    }
}

/// The largest linear memory: all that 32-bit addresses reach.
pub(crate) const LARGEST_MEMORY: usize = 4 << 30;
