//! The condition that opens a circuit breaker: a CEL expression over its counts.

use super::breaker::Counts;
use crate::expression::{Expression, Outcome, Variable};

/// A compiled condition.
pub struct Trip(Expression);

impl Trip {
    /// # Errors
    /// The text is no expression.
    pub fn compile(expression: &str) -> Result<Self, String> {
        Expression::compile(expression).map(Self)
    }

    /// Whether the counts meet the condition. A condition that cannot be evaluated does not trip.
    pub fn trips(&self, counts: &Counts) -> bool {
        let variables = [
            ("requests", counts.requests),
            ("totalSuccesses", counts.total_successes),
            ("totalFailures", counts.total_failures),
            ("consecutiveSuccesses", counts.consecutive_successes),
            ("consecutiveFailures", counts.consecutive_failures),
        ];
        let variables = variables.map(|(name, count)| (name, Variable::Whole(count.into()).into()));
        matches!(self.0.evaluate(&variables), Ok(Outcome::Truth(true)))
    }
}

#[cfg(all(test, feature = "cel"))]
mod tests {
    use super::*;

    fn trips(expression: &str, counts: Counts) -> bool {
        Trip::compile(expression).unwrap().trips(&counts)
    }

    #[test]
    fn conditions_see_all_counts() {
        let counts = Counts {
            requests: 10,
            total_successes: 6,
            total_failures: 4,
            consecutive_successes: 0,
            consecutive_failures: 3,
        };
        assert!(trips("consecutiveFailures >= 3", counts));
        assert!(!trips("consecutiveFailures > 3", counts));
        assert!(trips("requests > 5 && totalFailures > totalSuccesses - 3", counts));
        assert!(trips("consecutiveSuccesses == 0", counts));
    }

    #[test]
    fn what_cannot_be_evaluated_does_not_trip() {
        assert!(!trips("nonsense > 3", Counts::default()));
        assert!(!trips("requests + 1", Counts::default()));
    }

    #[test]
    fn broken_conditions_are_errors() {
        assert!(Trip::compile("requests >").is_err());
    }
}
