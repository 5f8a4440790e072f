//! When the next attempt begins, if there is one.

use std::time::Duration;

use tokio::time::Instant;

use super::matching::Matching;

/// The course of the waiting times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    Constant,
    Exponential,
}

/// A retry policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    pub backoff: Backoff,
    /// Between attempts, for the constant course.
    pub duration: Duration,
    /// Of the exponential course.
    pub initial_interval: Duration,
    pub max_interval: Duration,
    /// No further attempt begins after this time; zero for no limit.
    pub max_elapsed: Duration,
    /// `None` for no limit.
    pub max_retries: Option<u64>,
    pub matching: Matching,
}

/// Growth of the exponential course, and how far waiting times vary around it.
const MULTIPLIER: f64 = 1.5;
const RANDOMIZATION: f64 = 0.5;

impl Default for Retry {
    fn default() -> Self {
        Self {
            backoff: Backoff::Constant,
            duration: Duration::from_secs(5),
            initial_interval: Duration::from_millis(500),
            max_interval: Duration::from_secs(60),
            max_elapsed: Duration::from_secs(15 * 60),
            max_retries: None,
            matching: Matching::default(),
        }
    }
}

impl Retry {
    /// Waits of this length, `retries` times at most.
    pub fn constant(duration: Duration, retries: u64) -> Self {
        Self { duration, max_retries: Some(retries), ..Self::default() }
    }

    /// The waiting times of one call that begins now.
    pub fn schedule(&self) -> Schedule<'_> {
        Schedule { retry: self, begun: Instant::now(), used: 0, interval: self.initial_interval }
    }
}

/// The waiting times of one call.
pub struct Schedule<'a> {
    retry: &'a Retry,
    begun: Instant,
    used: u64,
    interval: Duration,
}

impl Schedule<'_> {
    /// How long to wait for the next attempt; `None` when there is none.
    pub fn next(&mut self) -> Option<Duration> {
        if self.retry.max_retries.is_some_and(|max| self.used >= max) {
            return None;
        }
        self.used += 1;
        match self.retry.backoff {
            Backoff::Constant => Some(self.retry.duration),
            Backoff::Exponential => {
                let wait = self.interval.mul_f64(1.0 - RANDOMIZATION + 2.0 * RANDOMIZATION * rand::random::<f64>());
                self.interval = self.interval.mul_f64(MULTIPLIER).min(self.retry.max_interval.max(self.interval));
                let over = !self.retry.max_elapsed.is_zero() && self.begun.elapsed() + wait > self.retry.max_elapsed;
                (!over).then_some(wait)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn constant_waits_are_equal_and_limited() {
        let retry = Retry::constant(Duration::from_secs(1), 2);
        let mut schedule = retry.schedule();
        assert_eq!(schedule.next(), Some(Duration::from_secs(1)));
        assert_eq!(schedule.next(), Some(Duration::from_secs(1)));
        assert_eq!(schedule.next(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn exponential_waits_grow_up_to_the_maximum() {
        let retry = Retry { backoff: Backoff::Exponential, max_interval: Duration::from_secs(2), ..Retry::default() };
        let mut schedule = retry.schedule();
        let mut interval = 0.5;
        for _ in 0..10 {
            let wait = schedule.next().unwrap().as_secs_f64();
            assert!((interval * 0.5..=interval * 1.5).contains(&wait), "{wait} around {interval}");
            interval = (interval * 1.5).min(2.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn exponential_waits_end_with_the_elapsed_time() {
        let retry = Retry { backoff: Backoff::Exponential, max_elapsed: Duration::from_secs(10), ..Retry::default() };
        let mut schedule = retry.schedule();
        let mut waited = Duration::ZERO;
        while let Some(wait) = schedule.next() {
            tokio::time::advance(wait).await;
            waited += wait;
        }
        assert!(waited <= Duration::from_secs(10));
    }

    #[tokio::test(start_paused = true)]
    async fn no_retries_means_one_attempt() {
        assert_eq!(Retry::constant(Duration::ZERO, 0).schedule().next(), None);
    }
}
