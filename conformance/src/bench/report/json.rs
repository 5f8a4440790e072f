//! As JSON.

use serde_json::{Value, json};

use super::{Document, Overloaded, Percentiles};
use crate::bench::statistics::Estimate;

impl Document {
    /// As JSON.
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.name, "unit": row.unit,
                "goal": row.goal, "goal_to_control": row.goal_to_control, "met": row.met(),
                "ratio": row.ratio.map(estimate), "ratio_to_control": row.to_control.map(estimate),
                "cpu_us": { "ottavo": row.ours, "daprd": row.theirs, "control": row.control },
                "memory_mb_per_stream": row.memory.map(|m| json!({ "ottavo": m.ours, "daprd": m.theirs })),
                "details": row.details,
            })
        });
        let latencies = self.latencies.iter().map(|latency| {
            json!({
                "name": latency.name, "per_second": latency.rate, "direct_us": percentiles(latency.direct),
                "added_us": {
                    "ottavo": percentiles(latency.ours), "daprd": latency.theirs.map(percentiles),
                    "control": percentiles(latency.control),
                },
                "cpu_us": latency.cpu.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
                "problems": latency.problems,
            })
        });
        let overloads = self.overloads.iter().map(|one| {
            json!({
                "name": one.name, "met": one.ours.met(),
                "ottavo": overloaded(&one.ours), "daprd": one.theirs.as_ref().map(overloaded),
            })
        });
        let functions = self.functions.iter().map(|row| {
            json!({
                "name": row.name, "unit": row.unit, "goal": row.goal, "met": row.met(),
                "ottavo": row.ours, "beside": row.beside, "details": row.details,
            })
        });
        let standing = self.standing.iter().map(|row| {
            json!({
                "name": row.name, "unit": row.unit, "goal": row.goal, "met": row.ours <= row.goal,
                "ottavo": row.ours, "daprd": row.theirs,
            })
        });
        let limits = self.yardsticks.iter().map(|limit| json!({ "name": limit.name, "cpu_us": limit.cpu }));
        json!({
            "rows": rows.collect::<Vec<_>>(),
            "latencies": latencies.collect::<Vec<_>>(),
            "overloads": overloads.collect::<Vec<_>>(),
            "functions": functions.collect::<Vec<_>>(),
            "standing": standing.collect::<Vec<_>>(),
            "limits": limits.collect::<Vec<_>>(),
            "notes": self.all_notes(),
        })
    }
}

fn estimate(estimate: Estimate) -> Value {
    json!({ "mean": estimate.mean, "low": estimate.low, "high": estimate.high })
}

fn percentiles(Percentiles([p50, p90, p99]): Percentiles) -> Value {
    json!({ "p50": p50, "p90": p90, "p99": p99 })
}

fn overloaded(one: &Overloaded) -> Value {
    json!({
        "capacity_per_second": one.capacity, "goodput": one.goodput,
        "refused": one.refused, "failed": one.failed, "never_begun": one.unbegun,
        "refusal_p99_ms": one.refusal_p99, "accepted_p99_ms": one.accepted_p99, "capacity_p99_ms": one.capacity_p99,
        "memory_growth_mb": one.growth, "first_error": one.first_error,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::document;

    #[test]
    fn each_kind_of_row_is_there_with_its_verdict() {
        let json = document().json();
        assert_eq!((&json["rows"][0]["met"], &json["overloads"][0]["met"]), (&true.into(), &true.into()));
        assert_eq!(json["functions"][0]["met"], true);
        assert_eq!(json["standing"][0]["met"], true);
        assert_eq!(json["limits"][0]["cpu_us"], 6.5);
    }
}
