//! The condition that opens a circuit breaker: a CEL expression over its counts.

use std::sync::Arc;

use cel::{Context, Env, Program, Value};

use super::breaker::Counts;

/// A compiled condition.
pub struct Trip {
    program: Program,
    environment: Arc<Env>,
}

impl Trip {
    pub fn compile(expression: &str) -> Result<Self, String> {
        let environment = Arc::new(Env::stdlib());
        let program = environment.compile(expression).map_err(|error| error.to_string())?;
        Ok(Self { program, environment })
    }

    /// Whether the counts meet the condition. A condition that cannot be evaluated does not trip.
    pub fn trips(&self, counts: &Counts) -> bool {
        let mut context = Context::with_env(self.environment.clone());
        for (name, count) in [
            ("requests", counts.requests),
            ("totalSuccesses", counts.total_successes),
            ("totalFailures", counts.total_failures),
            ("consecutiveSuccesses", counts.consecutive_successes),
            ("consecutiveFailures", counts.consecutive_failures),
        ] {
            context.add_variable_from_value(name, i64::from(count));
        }
        matches!(self.program.execute(&context), Ok(Value::Bool(true)))
    }
}

#[cfg(test)]
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
