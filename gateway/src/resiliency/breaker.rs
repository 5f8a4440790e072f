//! A circuit breaker: closed, open after too many failures, half open to try again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::info;

use super::SCOPE;
use super::trip::Trip;
use crate::telemetry::metrics::CircuitState;

/// How breakers of one policy behave.
#[derive(Clone)]
pub struct BreakerConfig {
    /// Calls let through while half open; as many successes in a row close it.
    pub max_requests: u32,
    /// While closed, counts begin anew after this time; zero never.
    pub interval: Duration,
    /// How long it stays open.
    pub timeout: Duration,
    /// `None` trips at more than five failures in a row.
    pub trip: Option<Arc<Trip>>,
}

/// What happened since the counts began anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: u32,
    pub total_successes: u32,
    pub total_failures: u32,
    pub consecutive_successes: u32,
    pub consecutive_failures: u32,
}

/// Why a call was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Open,
    TooManyRequests,
}

/// One breaker, shared by all calls to its target.
pub struct Breaker {
    name: String,
    config: BreakerConfig,
    inner: Mutex<Inner>,
}

struct Inner {
    state: CircuitState,
    /// Grows with each change of state and each new interval: late results of an earlier one do not count.
    generation: u64,
    counts: Counts,
    expiry: Option<Instant>,
}

/// Leave for one call; report its outcome, else (when the call is given up) it counts as a failure.
pub struct Permit<'a> {
    breaker: &'a Breaker,
    generation: u64,
    reported: bool,
}

impl Breaker {
    pub fn new(name: String, config: BreakerConfig) -> Self {
        let mut inner = Inner { state: CircuitState::Closed, generation: 0, counts: Counts::default(), expiry: None };
        inner.begin(CircuitState::Closed, &config, Instant::now());
        Self { name, config, inner: Mutex::new(inner) }
    }

    /// The state now; an open breaker whose time is over becomes half open by this.
    pub fn state(&self) -> CircuitState {
        self.locked(|inner, now| {
            inner.expire(&self.config, now);
            inner.state
        })
    }

    /// Lets a call through, or not.
    pub fn admit(&self) -> Result<Permit<'_>, Refusal> {
        self.locked(|inner, now| {
            inner.expire(&self.config, now);
            match inner.state {
                CircuitState::Open => Err(Refusal::Open),
                CircuitState::HalfOpen if inner.counts.requests >= self.config.max_requests => {
                    Err(Refusal::TooManyRequests)
                }
                _ => {
                    inner.counts.requests = inner.counts.requests.saturating_add(1);
                    Ok(inner.generation)
                }
            }
        })
        .map(|generation| Permit { breaker: self, generation, reported: false })
    }

    fn report(&self, generation: u64, success: bool) {
        self.locked(|inner, now| {
            inner.expire(&self.config, now);
            if inner.generation == generation {
                if success {
                    inner.succeed(&self.config, now);
                } else {
                    inner.fail(&self.config, now);
                }
            }
        });
    }

    /// Runs `act` under the lock, and logs when the state is another one after it.
    fn locked<R>(&self, act: impl FnOnce(&mut Inner, Instant) -> R) -> R {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let before = inner.state;
        let result = act(&mut inner, Instant::now());
        let after = inner.state;
        drop(inner);
        if before != after {
            info!(
                target: SCOPE,
                "Circuit breaker {:?} changed state from {} to {}", self.name, before.as_str(), after.as_str()
            );
        }
        result
    }
}

impl Inner {
    /// Enters `state` with fresh counts.
    fn begin(&mut self, state: CircuitState, config: &BreakerConfig, now: Instant) {
        self.state = state;
        self.generation += 1;
        self.counts = Counts::default();
        self.expiry = match state {
            CircuitState::Closed if config.interval.is_zero() => None,
            CircuitState::Closed => now.checked_add(config.interval),
            CircuitState::Open => now.checked_add(config.timeout),
            CircuitState::HalfOpen => None,
        };
    }

    fn expire(&mut self, config: &BreakerConfig, now: Instant) {
        if self.expiry.is_some_and(|expiry| expiry < now) {
            let next = match self.state {
                CircuitState::Open => CircuitState::HalfOpen,
                state => state,
            };
            self.begin(next, config, now);
        }
    }

    fn succeed(&mut self, config: &BreakerConfig, now: Instant) {
        let counts = &mut self.counts;
        counts.total_successes = counts.total_successes.saturating_add(1);
        counts.consecutive_successes = counts.consecutive_successes.saturating_add(1);
        counts.consecutive_failures = 0;
        if self.state == CircuitState::HalfOpen && counts.consecutive_successes >= config.max_requests {
            self.begin(CircuitState::Closed, config, now);
        }
    }

    fn fail(&mut self, config: &BreakerConfig, now: Instant) {
        if self.state == CircuitState::HalfOpen {
            return self.begin(CircuitState::Open, config, now);
        }
        let counts = &mut self.counts;
        counts.total_failures = counts.total_failures.saturating_add(1);
        counts.consecutive_failures = counts.consecutive_failures.saturating_add(1);
        counts.consecutive_successes = 0;
        let trips = match &config.trip {
            Some(trip) => trip.trips(counts),
            None => counts.consecutive_failures > 5,
        };
        if trips {
            self.begin(CircuitState::Open, config, now);
        }
    }
}

impl Permit<'_> {
    pub fn report(mut self, success: bool) {
        self.reported = true;
        self.breaker.report(self.generation, success);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.breaker.report(self.generation, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker(trip: Option<&str>, interval: Duration) -> Breaker {
        let trip = trip.map(|expression| Arc::new(Trip::compile(expression).unwrap()));
        Breaker::new("b".into(), BreakerConfig { max_requests: 1, interval, timeout: Duration::from_secs(5), trip })
    }

    fn call(breaker: &Breaker, success: bool) -> Result<(), Refusal> {
        breaker.admit().map(|permit| permit.report(success))
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_and_closes_after_a_success() {
        let breaker = breaker(Some("consecutiveFailures >= 3"), Duration::ZERO);
        for _ in 0..3 {
            assert_eq!(call(&breaker, false), Ok(()));
        }
        assert_eq!(call(&breaker, true), Err(Refusal::Open));
        tokio::time::advance(Duration::from_millis(5_001)).await;
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        assert_eq!(call(&breaker, true), Ok(()));
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_lets_a_few_through_and_opens_at_a_failure() {
        let breaker = breaker(Some("consecutiveFailures >= 1"), Duration::ZERO);
        assert_eq!(call(&breaker, false), Ok(()));
        tokio::time::advance(Duration::from_secs(6)).await;
        let first = breaker.admit().unwrap();
        assert_eq!(breaker.admit().err(), Some(Refusal::TooManyRequests));
        first.report(false);
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_given_up_is_a_failure() {
        let breaker = breaker(Some("consecutiveFailures >= 1"), Duration::ZERO);
        drop(breaker.admit().unwrap());
        assert_eq!(breaker.state(), CircuitState::Open);
    }

    #[tokio::test(start_paused = true)]
    async fn counts_begin_anew_each_interval() {
        let breaker = breaker(None, Duration::from_secs(1));
        for _ in 0..5 {
            assert_eq!(call(&breaker, false), Ok(()));
        }
        tokio::time::advance(Duration::from_millis(1_001)).await;
        assert_eq!(call(&breaker, false), Ok(()));
        assert_eq!(breaker.state(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn late_results_of_an_earlier_state_do_not_count() {
        let breaker = breaker(Some("consecutiveFailures >= 1"), Duration::ZERO);
        let late = breaker.admit().unwrap();
        assert_eq!(call(&breaker, false), Ok(()));
        tokio::time::advance(Duration::from_secs(6)).await;
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
        late.report(true);
        assert_eq!(breaker.state(), CircuitState::HalfOpen);
    }

    #[tokio::test(start_paused = true)]
    async fn six_failures_trip_by_default() {
        let breaker = breaker(None, Duration::ZERO);
        for _ in 0..5 {
            assert_eq!(call(&breaker, false), Ok(()));
        }
        assert_eq!(breaker.state(), CircuitState::Closed);
        assert_eq!(call(&breaker, false), Ok(()));
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}
