//! For tests of functions: a sidecar that lives in memory and remembers what it was asked.
//!
//! A function's module, built by whatever compiler, runs in the host's own engine, with its limits and its grants; only
//! what stands behind the sidecar is a fake. Feature `testkit`.

mod sidecar;

pub use sidecar::{Call, FakeSidecar};
