//! WASI preview 1 for guests without files and sockets: arguments, the three standard streams, clocks, chance, sleep.
//!
//! All of its functions can be imported; those about files answer that there is no such descriptor. The same set answers
//! under the older name `wasi_unstable`.

mod clock;
mod descriptors;
mod output;
mod poll;
mod process;
mod random;

use bytes::Bytes;
use wasmtime::Linker;

use crate::store::State;

pub(crate) use clock::Clock;
pub(crate) use output::{Output, printable};
pub(crate) use random::Random;

/// The host modules that [`add`] serves.
pub(crate) const MODULES: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Error numbers of WASI preview 1.
pub(crate) mod errno {
    pub const SUCCESS: i32 = 0;
    pub const BADF: i32 = 8;
    pub const INVAL: i32 = 28;
    pub const NOSYS: i32 = 52;
    pub const NOTSUP: i32 = 58;
}

/// What one guest has of WASI.
pub(crate) struct Wasi {
    /// The program's name first.
    pub arguments: Vec<Vec<u8>>,
    /// `NAME=value`
    pub environment: Vec<Vec<u8>>,
    pub input: Bytes,
    pub output: Output,
    pub errors: Output,
    pub clock: Clock,
    pub random: Random,
}

impl Wasi {
    /// `strict`: the same run each time: invented clocks, no sleep, the same chance (as daprd 1.18, `strictSandbox`).
    pub fn new(strict: bool) -> Self {
        Self {
            arguments: Vec::new(),
            environment: Vec::new(),
            input: Bytes::new(),
            output: Output::default(),
            errors: Output::default(),
            clock: Clock::new(strict),
            random: Random::new(strict),
        }
    }
}

/// Adds everything to a linker.
pub(crate) fn add<T: Send + 'static>(linker: &mut Linker<State<T>>) -> wasmtime::Result<()> {
    for module in MODULES {
        process::add(linker, module)?;
        clock::add(linker, module)?;
        random::add(linker, module)?;
        descriptors::add(linker, module)?;
        poll::add(linker, module)?;
    }
    Ok(())
}
