//! Conformance of a sidecar: cases, real SDKs, real servers.
//!
//! * [`target`]: the program under test as a process: start it, wait for it, stop it or kill it.

pub mod target;
