//! Pluggable components: other processes, reached over Unix sockets, as daprd 1.18 reaches them.
//!
//! [`discover`] asks each socket of a folder which services of `dapr.proto.components.v1` it has and registers them
//! under the socket's name. Each component that is then built has a connection of its own.

mod bindings;
mod discovery;
mod pubsub;
mod secretstores;
mod socket;
mod state;
mod status;
mod stream;

pub use discovery::{DEFAULT_FOLDER, Discovered, discover};
