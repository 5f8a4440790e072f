//! Conformance of a sidecar: cases, real SDKs, real servers, proofs under load.
//!
//! * [`target`]: the program under test as a process: start it, wait for it, stop it or kill it.
//! * [`app`]: applications that stand behind it.
//! * [`bench`]: CPU, memory and start beside a real daprd and bare hyper.
//! * [`guests`]: functions from WebAssembly text.
//! * [`golden`]: recorded answers of a real daprd, replayed.
//! * [`load`]: an open-loop generator, and what it measures.
//! * [`client`]: small raw clients.
//! * [`coverage`]: which operations have a case.
//! * [`wire`]: what happens on bad input, as a table.
//! * [`proofs`]: what is promised under load, each as a run with bounds. The program `conformance` runs them at full
//!   size, the tests at a small one.
//! * [`twins`]: system calls, instructions and allocations of one request, with recorded bounds.

pub mod app;
pub mod bench;
pub mod client;
pub mod coverage;
pub mod golden;
pub mod guests;
pub mod load;
pub mod proofs;
pub mod target;
pub mod twins;
pub mod wire;
