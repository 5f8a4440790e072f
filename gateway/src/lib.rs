//! The gateway: one sidecar, from flags to fronts.
//!
//! Modules in the order in which they may use each other; `tests/it/tidy.rs` holds it: `cli lifecycle`, then
//! `server layers http grpc`, `runtime catalog`, `blocks inbound`, `resiliency app pipeline loaded`, and at the
//! bottom `operation error telemetry config`.

pub mod cli;
pub mod config;
pub mod resiliency;
pub mod telemetry;
