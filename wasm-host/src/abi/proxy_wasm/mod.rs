//! proxy-wasm 0.1.0, 0.2.0 and 0.2.1: guests beside an HTTP stream, with Layotto's additions.
//!
//! [`ProxyWasm`] is a module with its configuration. [`ProxyWasm::open`] takes one of its living guests for the time of
//! a stream; the guest's callbacks are methods of [`Session`]. What guests reach is behind [`ProxyHost`]; what they share
//! is in [`Services`]. Where the ABI's text and Envoy's host differ, this is as Envoy's host and the SDKs have it.

mod abi;
mod events;
mod function;
pub mod host;
mod imports;
mod instance;
pub mod map;
mod plugin;
mod reach;
mod root;
mod services;
mod session;
mod settings;
mod status;
mod stream;

pub use function::ProxyFunction;
pub use host::{NoHost, ProxyHost};
pub(crate) use imports::missing;
pub use plugin::ProxyWasm;
pub use reach::Reach;
pub use services::{Metric, MetricKind, Services};
pub use session::Session;
pub use settings::{ProxySettings, configuration};
pub use status::{Action, Direction, Status, Version};
pub use stream::LocalResponse;
