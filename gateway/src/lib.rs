//! The gateway: one sidecar, from flags to fronts.
//!
//! Modules in the order in which they may use each other; `tests/it/tidy.rs` holds it: `cli lifecycle`, then
//! `server layers http grpc functions guest`, `runtime catalog`, `blocks inbound`, `resiliency app pipeline loaded
//! client`, and at the bottom `operation error json body query sniff telemetry config
//! workers memory coalesce`.

pub mod app;
pub mod blocks;
pub mod body;
pub mod catalog;
pub mod cli;
pub mod client;
mod coalesce;
pub mod config;
pub mod error;
mod expression;
#[cfg(feature = "wasm")]
pub mod functions;
pub mod grpc;
#[cfg(feature = "wasm")]
pub mod guest;
pub mod http;
pub mod inbound;
pub mod json;
pub mod layers;
pub mod lifecycle;
pub mod loaded;
mod memory;
mod merged;
pub mod operation;
pub mod pipeline;
pub mod query;
pub mod resiliency;
pub mod runtime;
pub mod server;
pub mod sniff;
pub mod telemetry;
pub mod workers;
