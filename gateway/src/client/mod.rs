//! HTTP clients for what the sidecar calls: the application, other sidecars, endpoints outside.
//!
//! A pool belongs to one origin and keeps its connections apart by worker thread, so that a request and the
//! connection it goes over stay on one thread. [`http1`] lends a connection out for one exchange, which moves
//! it itself; [`http2`] shares connections between streams and drives them without a task for each request. Failures read as Go's client words
//! them, since daprd's callers match those texts.

pub mod connect;
mod error;
pub mod grpc;
pub mod hop;
pub mod http1;
mod http1_connection;
pub mod http2;
mod http2_stream;
mod slots;
pub mod tls;

pub use connect::{Io, Origin};
pub use error::{ClientError, errno_text};
