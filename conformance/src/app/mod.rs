//! Test applications: what stands behind a sidecar in the proofs.

mod answer;
mod events;
mod pattern;
mod server;

pub use events::Events;
pub use pattern::{Checksum, Pattern, checksum_of};
pub use server::{App, Settings};
