//! A policy at work: attempts, with a timeout each, behind a breaker, until one succeeds.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tracing::{debug, info, warn};

use super::SCOPE;
use super::breaker::{Breaker, Refusal};
use super::retry::Retry;
use super::targets::Operation;
use crate::config::GoDuration;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Flow, PolicyKind, PolicyLabels};

/// The status of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    Http(u16),
    /// 0 to 16.
    Grpc(i32),
}

/// What policies must know of a failed attempt.
pub trait Failure: fmt::Display {
    /// The status that the other side answered with, if it answered: `matching` judges it.
    fn code(&self) -> Option<Code> {
        None
    }

    /// Whether another attempt may help at all. False for conflicts, bad requests and what cannot be sent twice.
    fn is_retryable(&self) -> bool {
        true
    }

    /// Whether a circuit breaker counts it. daprd counts every error.
    fn is_failure_for_breaker(&self) -> bool {
        true
    }
}

impl Failure for components::Error {
    fn is_retryable(&self) -> bool {
        !self.is_etag()
    }
}

/// How a call under a policy failed. Texts are daprd's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyError<E> {
    /// The last attempt's own failure.
    Operation(E),
    /// The last attempt ran out of its time.
    Timeout,
    BreakerOpen,
    TooManyRequests,
}

impl<E> PolicyError<E> {
    /// The attempt's own failure, or one made from this one's text.
    pub fn into_operation(self, other: impl FnOnce(&'static str) -> E) -> E {
        match self {
            Self::Operation(error) => error,
            Self::Timeout => other("context deadline exceeded"),
            Self::BreakerOpen => other("circuit breaker is open"),
            Self::TooManyRequests => other("too many requests"),
        }
    }

    /// Whether a circuit breaker refused the call.
    pub fn is_breaker(&self) -> bool {
        matches!(self, Self::BreakerOpen | Self::TooManyRequests)
    }

    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }
}

impl<E: fmt::Display> fmt::Display for PolicyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operation(error) => error.fmt(f),
            Self::Timeout => f.write_str("context deadline exceeded"),
            Self::BreakerOpen => f.write_str("circuit breaker is open"),
            Self::TooManyRequests => f.write_str("too many requests"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for PolicyError<E> {}

/// The policy of a target. Finding it is what metrics count: daprd finds it anew for each call that goes out, and once
/// for each subscription or input binding.
#[derive(Clone, Default)]
pub struct Policy {
    inner: Option<Arc<Inner>>,
}

/// A policy that does something.
pub(super) struct Inner {
    pub operation: Operation,
    pub timeout: Option<Duration>,
    pub retry: Option<Arc<Retry>>,
    pub breaker: Option<Arc<Breaker>>,
    pub reporter: Option<Reporter>,
}

/// Where and under which labels activations are counted.
pub(super) struct Reporter {
    pub metrics: Metrics,
    pub name: Arc<str>,
    pub namespace: Arc<str>,
    pub flow: Flow,
    pub target: String,
}

impl Reporter {
    fn labels(&self, policy: PolicyKind) -> PolicyLabels<'_> {
        PolicyLabels { name: &self.name, namespace: &self.namespace, policy, flow: self.flow, target: &self.target }
    }
}

impl Policy {
    /// One attempt, without limits.
    pub fn none() -> Self {
        Self::default()
    }

    pub(super) fn new(inner: Inner) -> Self {
        if let Some(reporter) = &inner.reporter {
            if inner.timeout.is_some() {
                reporter.metrics.policy_executed(&reporter.labels(PolicyKind::Timeout), None);
            }
            if inner.retry.is_some() {
                reporter.metrics.policy_executed(&reporter.labels(PolicyKind::Retry), None);
            }
            if let Some(breaker) = &inner.breaker {
                let labels = reporter.labels(PolicyKind::CircuitBreaker);
                reporter.metrics.policy_executed(&labels, Some(breaker.state()));
            }
        }
        Self { inner: Some(Arc::new(inner)) }
    }

    /// Whether there may be a second attempt: then what is sent must be kept.
    pub fn has_retries(&self) -> bool {
        self.retry().is_some_and(|retry| retry.max_retries != Some(0))
    }

    /// The time that one attempt may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.inner.as_ref()?.timeout
    }

    fn retry(&self) -> Option<&Retry> {
        self.inner.as_ref()?.retry.as_deref()
    }

    /// Runs `attempt` until it succeeds, or there is no further attempt.
    ///
    /// An attempt that runs out of time is dropped. Without a policy this is one await.
    pub async fn run<T, E, F, Fut>(&self, mut attempt: F) -> Result<T, PolicyError<E>>
    where
        E: Failure,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let Some(inner) = &self.inner else {
            return attempt().await.map_err(PolicyError::Operation);
        };
        let mut timed_out = false;
        let Some(retry) = &inner.retry else {
            return inner.guarded(&mut attempt, &mut timed_out).await;
        };
        let mut schedule = retry.schedule();
        let mut attempts = 1u32;
        loop {
            let error = match inner.guarded(&mut attempt, &mut timed_out).await {
                Ok(value) => {
                    if attempts > 1 {
                        info!(
                            target: SCOPE,
                            "Recovered processing operation {} after {attempts} attempts", inner.operation
                        );
                    }
                    return Ok(value);
                }
                Err(error) => error,
            };
            let again = match &error {
                PolicyError::Operation(error) => {
                    error.is_retryable() && error.code().is_none_or(|code| retry.matching.allows(code))
                }
                PolicyError::Timeout => true,
                PolicyError::BreakerOpen | PolicyError::TooManyRequests => false,
            };
            let Some(wait) = schedule.next().filter(|_| again) else { return Err(error) };
            if attempts == 1 {
                inner.retry_begins(&error, wait);
            }
            tokio::time::sleep(wait).await;
            attempts = attempts.saturating_add(1);
        }
    }
}

impl Inner {
    /// One attempt, behind the breaker, in its time. An attempt that the breaker refuses is not even made.
    async fn guarded<T, E, F, Fut>(&self, attempt: &mut F, timed_out: &mut bool) -> Result<T, PolicyError<E>>
    where
        E: Failure,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        // On the heap: an attempt is large, and each function here would hold it twice.
        let mut attempt = || Box::pin(attempt());
        let Some(breaker) = &self.breaker else { return self.timed(attempt(), timed_out).await };
        let before = breaker.state();
        let result = match breaker.admit() {
            Err(Refusal::Open) => Err(PolicyError::BreakerOpen),
            Err(Refusal::TooManyRequests) => Err(PolicyError::TooManyRequests),
            Ok(permit) => {
                let result = self.timed(attempt(), timed_out).await;
                permit.report(match &result {
                    Err(PolicyError::Operation(error)) => !error.is_failure_for_breaker(),
                    other => other.is_ok(),
                });
                result
            }
        };
        let after = breaker.state();
        if let Some(reporter) = self.reporter.as_ref().filter(|_| before != after) {
            reporter.metrics.policy_activated(&reporter.labels(PolicyKind::CircuitBreaker), Some(after));
        }
        result
    }

    async fn timed<T, E>(
        &self,
        attempt: impl Future<Output = Result<T, E>>,
        timed_out: &mut bool,
    ) -> Result<T, PolicyError<E>> {
        let Some(timeout) = self.timeout else { return attempt.await.map_err(PolicyError::Operation) };
        if let Ok(result) = tokio::time::timeout(timeout, attempt).await {
            return result.map_err(PolicyError::Operation);
        }
        // Counted once for a call, however many attempts it has.
        if !std::mem::replace(timed_out, true)
            && let Some(reporter) = &self.reporter
        {
            reporter.metrics.policy_activated(&reporter.labels(PolicyKind::Timeout), None);
        }
        Err(PolicyError::Timeout)
    }

    fn retry_begins<E: fmt::Display>(&self, error: &PolicyError<E>, wait: Duration) {
        if let Some(reporter) = &self.reporter {
            reporter.metrics.policy_activated(&reporter.labels(PolicyKind::Retry), None);
        }
        warn!(
            target: SCOPE,
            "Error processing operation {}. Retrying in {}…", self.operation, GoDuration::from(wait)
        );
        debug!(target: SCOPE, "Error for operation {} was: {error}", self.operation);
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            None => f.write_str("Policy(none)"),
            Some(inner) => f
                .debug_struct("Policy")
                .field("operation", &inner.operation)
                .field("timeout", &inner.timeout)
                .field("retry", &inner.retry)
                .field("breaker", &inner.breaker.as_ref().map(|breaker| breaker.state()))
                .finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::super::breaker::BreakerConfig;
    use super::super::matching::Matching;
    use super::super::trip::Trip;
    use super::*;
    use crate::config::resiliency::MatchingSpec;

    #[derive(Debug, Clone, PartialEq)]
    struct Failed(Option<Code>, bool);

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("failed")
        }
    }

    impl Failure for Failed {
        fn code(&self) -> Option<Code> {
            self.0
        }

        fn is_retryable(&self) -> bool {
            self.1
        }
    }

    fn policy(timeout: Option<Duration>, retry: Option<Retry>, breaker: Option<&str>) -> Policy {
        let breaker = breaker.map(|trip| {
            let trip = Some(Arc::new(Trip::compile(trip).unwrap()));
            let config =
                BreakerConfig { max_requests: 1, interval: Duration::ZERO, timeout: Duration::from_secs(5), trip };
            Arc::new(Breaker::new("b".into(), config))
        });
        Policy::new(Inner {
            operation: Operation::BuiltIn("test"),
            timeout,
            retry: retry.map(Arc::new),
            breaker,
            reporter: None,
        })
    }

    /// Fails `failures` times; gives the outcome, how many attempts there were and the time it took.
    async fn run(policy: &Policy, failures: u32, failure: Failed) -> (Result<u32, PolicyError<Failed>>, u32, Duration) {
        let begun = Instant::now();
        let calls = Cell::new(0);
        let result = policy
            .run(|| {
                calls.set(calls.get() + 1);
                let outcome = if calls.get() > failures { Ok(calls.get()) } else { Err(failure.clone()) };
                async { outcome }
            })
            .await;
        (result, calls.get(), begun.elapsed())
    }

    /// Policies stand inside one another and calls are large: held several times at each, they overflow the stack.
    #[test]
    fn an_attempt_is_held_once() {
        const LARGE: usize = 64 * 1024;
        let policy = Policy::none();
        let run = policy.run(|| async {
            let held = [0u8; LARGE];
            tokio::task::yield_now().await;
            if held.is_empty() { Err(Failed(None, true)) } else { Ok(()) }
        });
        let size = size_of_val(&run);
        assert!(size < 2 * LARGE, "{size} bytes for attempts of {LARGE}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_policy_there_is_one_attempt() {
        let (result, calls, _) = run(&Policy::none(), 1, Failed(None, true)).await;
        assert_eq!((result, calls), (Err(PolicyError::Operation(Failed(None, true))), 1));
    }

    #[tokio::test(start_paused = true)]
    async fn retries_until_success() {
        let policy = policy(None, Some(Retry::constant(Duration::from_secs(1), 3)), None);
        let (result, calls, elapsed) = run(&policy, 2, Failed(None, true)).await;
        assert_eq!((result, calls, elapsed), (Ok(3), 3, Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_the_last_failure_when_attempts_are_used_up() {
        let policy = policy(None, Some(Retry::constant(Duration::from_secs(1), 3)), None);
        let (result, calls, _) = run(&policy, 9, Failed(None, true)).await;
        assert_eq!((result, calls), (Err(PolicyError::Operation(Failed(None, true))), 4));
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_help_is_not_repeated() {
        let matching =
            Matching::parse(&MatchingSpec { http_status_codes: "500-599".into(), ..MatchingSpec::default() }).unwrap();
        let policy = policy(None, Some(Retry { matching, ..Retry::constant(Duration::ZERO, 3) }), None);
        assert_eq!(run(&policy, 9, Failed(None, false)).await.1, 1);
        assert_eq!(run(&policy, 9, Failed(Some(Code::Http(404)), true)).await.1, 1);
        assert_eq!(run(&policy, 9, Failed(Some(Code::Http(503)), true)).await.1, 4);
        assert_eq!(run(&policy, 9, Failed(Some(Code::Grpc(14)), true)).await.1, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn the_timeout_is_for_each_attempt() {
        let policy = policy(Some(Duration::from_secs(2)), Some(Retry::constant(Duration::from_secs(1), 1)), None);
        let begun = Instant::now();
        let result: Result<(), PolicyError<Failed>> = policy.run(std::future::pending).await;
        assert_eq!(result, Err(PolicyError::Timeout));
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        assert_eq!(result.unwrap_err().to_string(), "context deadline exceeded");
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_breaker_ends_the_retries() {
        let retry = Retry::constant(Duration::from_secs(1), 10);
        let policy = policy(None, Some(retry), Some("consecutiveFailures >= 2"));
        let (result, calls, _) = run(&policy, 9, Failed(None, true)).await;
        assert_eq!((result.clone(), calls), (Err(PolicyError::BreakerOpen), 2));
        assert_eq!(result.unwrap_err().to_string(), "circuit breaker is open");
    }
}
