//! What the fuzzers call with each input, free of any fuzzer: `tests/replay.rs` replays the corpus through it.
//!
//! * [`router`]: a request through the real HTTP stack, with stores and a broker in memory.
//! * [`envelope`]: a payload into its cloud event and back.
//! * [`resources`]: the texts of a resource file into what the sidecar is built from.
//! * [`functions`]: manifests of functions into what they are built from.
//! * [`modules`]: WebAssembly modules and components: what they are, what they want, what they do within limits.
//! * [`pairs`]: the lists that proxy-wasm guests exchange with their host.
//!
//! `run.sh` builds the programs of `targets/` with coverage counters in the crates of this workspace and runs them.

// The stack of layers is deep.
#![recursion_limit = "256"]

pub mod envelope;
pub mod functions;
pub mod modules;
pub mod pairs;
pub mod resources;
pub mod router;

/// An input's head, lines up to an empty one, and what follows it.
fn head_and_body(input: &[u8]) -> (&str, &[u8]) {
    let at = input.windows(2).position(|two| two == b"\n\n").unwrap_or(input.len());
    let body = input.get(at + 2..).unwrap_or_default();
    (std::str::from_utf8(&input[..at]).unwrap_or_default(), body)
}
