//! Listeners, the threads that serve them, and the stacks between socket and API.

mod connection;
mod listen;
mod overload;
pub mod stack;
mod swap;

pub use connection::{FIRST_HEAD, Http, ServeConnection, accept};
pub use listen::{Bound, ListenError, Reserved, bind_tcp, bind_unix, try_bind_tcp};
pub use overload::{OVERLOAD_DELAY, Overload};
pub use swap::Swap;
