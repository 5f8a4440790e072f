//! What came of a run.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Exchanges by their ends.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Exchanges that ended well.
    pub requests: u64,
    /// Those that did not.
    pub errors: u64,
    /// Those among the errors that were refused: 429, or `RESOURCE_EXHAUSTED`.
    pub refused: u64,
    /// Those that should have begun and did not, since the ones before them took all places.
    pub unbegun: u64,
    /// Why the first of the errors was none.
    pub first_error: Option<String>,
    /// Microseconds, of those that ended well.
    pub latencies: Histogram<u64>,
    /// Microseconds, of those that were refused.
    pub refusals: Histogram<u64>,
    /// Messages of gRPC in good answers.
    pub messages: u64,
    /// How long it took, from the first request to the last answer.
    pub elapsed: Duration,
    /// What the generator's thread cost.
    pub cpu: Duration,
}

impl Default for Counted {
    fn default() -> Self {
        let empty = || Histogram::new(3).expect("three significant digits are allowed");
        Self {
            requests: 0,
            errors: 0,
            refused: 0,
            unbegun: 0,
            first_error: None,
            latencies: empty(),
            refusals: empty(),
            messages: 0,
            elapsed: Duration::ZERO,
            cpu: Duration::ZERO,
        }
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Well, with so many messages of gRPC.
    Good { messages: u64 },
    /// There was no room for it.
    Refused(String),
    /// In any other way.
    Failed(String),
}

impl Counted {
    /// Counts an exchange that should have begun at `intended` and ended `now`.
    pub fn end(&mut self, intended: Instant, now: Instant, ending: Ending) {
        let micros = u64::try_from(now.saturating_duration_since(intended).as_micros()).unwrap_or(u64::MAX).max(1);
        // Histograms grow as needed: nothing is out of range.
        match ending {
            Ending::Good { messages } => {
                self.requests += 1;
                self.messages += messages;
                let _ = self.latencies.record(micros);
            }
            Ending::Refused(text) => {
                self.refused += 1;
                let _ = self.refusals.record(micros);
                self.fail(1, || text);
            }
            Ending::Failed(text) => self.fail(1, || text),
        }
    }

    /// Counts errors.
    pub fn fail(&mut self, count: u64, text: impl FnOnce() -> String) {
        self.errors += count;
        if count > 0 && self.first_error.is_none() {
            self.first_error = Some(text());
        }
    }

    /// Good exchanges a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "requests": self.requests,
            "errors": self.errors,
            "refused": self.refused,
            "unbegun": self.unbegun,
            "first_error": self.first_error,
            "messages": self.messages,
            "seconds": self.elapsed.as_secs_f64(),
            "requests_per_second": self.rate(),
            "latency_us": percentiles(&self.latencies),
            "refusal_latency_us": percentiles(&self.refusals),
            "generator_cpu_us_per_request": self.cpu.as_secs_f64() * 1e6 / (self.requests + self.errors).max(1) as f64,
        })
    }
}

fn percentiles(histogram: &Histogram<u64>) -> Value {
    json!({
        "p50": histogram.value_at_percentile(50.0),
        "p90": histogram.value_at_percentile(90.0),
        "p99": histogram.value_at_percentile(99.0),
        "p99_9": histogram.value_at_percentile(99.9),
        "max": histogram.max(),
        "mean": histogram.mean(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_errors_with_latencies_of_their_own() {
        let (mut counted, intended) = (Counted::default(), Instant::now());
        let at = |millis| intended + Duration::from_millis(millis);
        counted.end(intended, at(2), Ending::Good { messages: 1 });
        counted.end(intended, at(5), Ending::Refused("busy".to_owned()));
        counted.end(intended, at(9), Ending::Failed("broken".to_owned()));
        assert_eq!((counted.requests, counted.errors, counted.refused), (1, 2, 1));
        assert_eq!(counted.first_error.as_deref(), Some("busy"));
        assert_eq!((counted.latencies.max() / 100, counted.refusals.max() / 100), (20, 50));
        assert_eq!(counted.json()["messages"], 1);
    }
}
