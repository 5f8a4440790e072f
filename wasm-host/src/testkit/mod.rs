//! For tests of functions: a sidecar that lives in memory and remembers what it was asked.
//!
//! A [`Guest`] is a function's module, built by whatever compiler, in the host's own engine with its limits and its grants;
//! only what stands behind the sidecar is a fake.

mod guest;
mod sidecar;

pub use guest::{Answer, Guest};
pub use sidecar::{Call, FakeSidecar};
