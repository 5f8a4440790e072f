//! Listeners, the threads that serve them, and the stacks between socket and API.

mod connection;
mod http1;
mod http2;
mod listen;
mod overload;
mod prefixed;
pub mod stack;
mod swap;
pub mod upgraded;

pub use connection::{FIRST_HEAD, Http, ServeConnection, accept};
pub use listen::{Bound, ListenError, Reserved, bind_private_unix, bind_tcp, bind_unix, try_bind_tcp};
pub use overload::{OVERLOAD_DELAY, Overload};
pub use swap::Swap;
