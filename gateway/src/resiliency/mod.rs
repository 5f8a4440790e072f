//! Retries, circuit breakers and timeouts, as daprd 1.18 has them: retry around breaker around timeout.
//!
//! [`Policies`] is built from the resources; it finds the [`Policy`] of a target, which runs attempts. What an attempt
//! is, and which failures are worth another, is said by the caller through [`Failure`].

mod breaker;
mod definitions;
mod lru;
mod matching;
mod policies;
mod policy;
mod retry;
mod targets;
mod trip;

pub use policies::Policies;
pub use policy::{Code, Failure, Policy, PolicyError};
pub use targets::{BuiltIn, ComponentType};

/// Log scope of policies.
const SCOPE: &str = "dapr.runtime";
