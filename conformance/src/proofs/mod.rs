//! What is promised under load. Each proof is a value with its sizes; running it gives a table and the bounds.

mod common;
pub mod kill_consumer;
pub mod rolling_restarts;
pub mod same_answers;
pub mod slow_readers;
pub mod streams;

pub use common::{Broker, Names};
