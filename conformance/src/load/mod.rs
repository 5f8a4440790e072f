//! Load and measurement: an open-loop generator, a client, the servers of Debian, memory and CPU of processes, tables.

mod client;
mod open_loop;
mod process;
mod redis;
mod report;

pub use client::Client;
pub use open_loop::{Call, OpenLoop, Outcome};
pub use process::{Memory, cpu_of, own_cpu};
pub use redis::Redis;
pub use report::{Bound, Report};
