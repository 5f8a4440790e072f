//! Listeners, the threads that serve them, and the stacks between socket and API.

mod connection;
mod listen;
pub mod stack;
mod workers;

pub use connection::{Http, ServeConnection};
pub use listen::{Bound, ListenError, bind_tcp, bind_unix};
pub use workers::{MAX_WORKERS, Workers, worker_index};
