//! Measures of functions: Ottavo's own.

use std::time::Duration;

use super::catalog::Measure::*;
use super::{Metrics, millis, truth};

/// A call of a function that has ended.
#[derive(Debug, Clone, Copy)]
pub struct FunctionCall<'a> {
    pub function: &'a str,
    /// `http`, `invoke`, `function`, `topic` or `cron`.
    pub trigger: &'static str,
    /// `success`, `error`, `trap`, `timeout`, `limit`, `busy`, `refused`, `cancelled`; of messages `retry` and `drop`.
    pub outcome: &'static str,
    pub elapsed: Duration,
}

impl Metrics {
    pub fn function_called(&self, call: &FunctionCall<'_>) {
        self.with(|inner| {
            let labels = [inner.app_id.as_str(), call.function, call.outcome, call.trigger];
            inner.count_and_observe(FunctionCount, FunctionLatency, &labels, millis(call.elapsed));
        });
    }

    /// A function asked for something that it was not granted.
    pub fn function_denied(&self, function: &str) {
        self.with(|inner| inner.count(FunctionDenied, &[&inner.app_id, function]));
    }

    /// Guests of a function that are alive.
    pub fn function_guests(&self, function: &str, guests: usize) {
        let guests = i64::try_from(guests).unwrap_or(i64::MAX);
        self.with(|inner| inner.set(FunctionGuests, &[&inner.app_id, function], guests));
    }

    /// A changed module has taken the place of the one before, or has failed to.
    pub fn function_reloaded(&self, function: &str, success: bool) {
        self.with(|inner| inner.count(FunctionReloads, &[&inner.app_id, function, truth(success)]));
    }
}
