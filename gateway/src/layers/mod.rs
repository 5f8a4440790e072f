//! What a request passes between socket and API: one layer a file. [`crate::server::stack`] says in which order, and
//! why.
//!
//! A layer is a [`tower::Layer`] over [`ServeConnection`]: composed at compile time, so that a stack of them costs no
//! allocation per layer and request.

mod admission;
mod api_log;
mod body_limit;
mod catch_panic;
mod cors;
mod header_limit;
mod metrics;
mod pipeline;
mod token;
mod trace;
mod upgrade;

pub use admission::Admission;
pub use api_log::ApiLog;
pub use body_limit::BodyLimit;
pub use catch_panic::CatchPanic;
pub use cors::Cors;
pub use header_limit::HeaderLimit;
pub use metrics::CountRequests;
pub use pipeline::UserPipeline;
pub use token::ApiToken;
use token::is_health;
pub use trace::{NoTraceHeader, SpanName, Trace};
pub use upgrade::H2cUpgrade;

pub use crate::server::ServeConnection;
