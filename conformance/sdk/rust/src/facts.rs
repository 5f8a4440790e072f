//! Counts and prints what the program has proven; the first fact that does not hold ends it.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// What was expected and what was seen instead, or what failed on the way.
pub type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// How many facts hold so far.
#[derive(Default)]
pub struct Facts(usize);

impl Facts {
    /// `fact` is proven when `condition` is true; `seen` is shown when it is not.
    pub fn holds(&mut self, fact: &str, condition: bool, seen: impl Debug) -> Result<(), Wrong> {
        if !condition {
            return Err(format!("{fact}: {seen:?}").into());
        }
        self.0 += 1;
        println!("ok {fact}");
        Ok(())
    }

    /// `fact` is proven when both values are equal.
    pub fn equal<S, E>(&mut self, fact: &str, seen: S, expected: E) -> Result<(), Wrong>
    where
        S: Debug + PartialEq<E>,
        E: Debug,
    {
        let equal = seen == expected;
        self.holds(fact, equal, format!("expected {expected:?}, got {seen:?}"))
    }

    /// `fact` is proven when `result` is an error whose text has `part`.
    pub fn error<T: Debug, E: Debug>(&mut self, fact: &str, result: Result<T, E>, part: &str) -> Result<(), Wrong> {
        let text = format!("{result:?}");
        self.holds(fact, result.is_err() && text.contains(part), text)
    }

    pub fn total(&self) -> usize {
        self.0
    }
}

/// The first `Some` of `look`, within twenty seconds.
pub async fn wait_for<T, E>(what: &str, mut look: impl AsyncFnMut() -> Result<Option<T>, E>) -> Result<T, Wrong>
where
    Wrong: From<E>,
{
    let start = Instant::now();
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if start.elapsed() > Duration::from_secs(20) {
            return Err(format!("no {what} within 20 seconds").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
