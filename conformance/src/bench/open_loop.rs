//! An open loop: exchanges begin on a fixed schedule, and their latency counts from the time at which they should have
//! begun. [`crate::load::OpenLoop`] does the same for calls of any kind; this one is cheap.

use std::time::Duration;

use super::generator::{self, Counted, Pace, Plan, Target, Work};

/// Asks `work` of a port of the loopback interface `rate` times a second for `duration`.
pub fn run(work: &Work, port: u16, rate: f64, duration: Duration) -> Counted {
    generator::run(work, &Target::port(port), &Plan { pace: Pace::Open(rate), duration, count: None })
}
