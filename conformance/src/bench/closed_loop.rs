//! A closed loop: a fixed number of exchanges at any time, each begun when the one before it has ended.

use std::time::Duration;

use super::generator::{self, Pace, Plan, Target};
pub use super::generator::{Counted, Work};

/// Asks `work` of a port of the loopback interface for `duration`.
pub fn run(work: &Work, port: u16, duration: Duration) -> Counted {
    generator::run(work, &Target::port(port), &Plan { pace: Pace::Closed, duration, count: None })
}
