//! What came out, for people and for programs.

mod json;
mod markdown;
mod plot;
mod save;

use serde_json::Value;

use super::Settings;
use super::statistics::Estimate;

/// A scenario in which requests were made.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub unit: String,
    /// The largest ratio to daprd that is a success.
    pub goal: f64,
    pub goal_to_control: Option<f64>,
    pub ratio: Option<Estimate>,
    pub to_control: Option<Estimate>,
    /// Microseconds of CPU a request, the median of all blocks.
    pub ours: f64,
    pub theirs: Option<f64>,
    pub control: Option<f64>,
    /// Where the memory of each stream is limited.
    pub memory: Option<Memory>,
    pub details: Value,
}

/// How much the process that grew most has grown, in MB a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Memory {
    pub ours: f64,
    pub theirs: Option<f64>,
}

/// MB a stream that are a success.
pub const STREAM_MEMORY: f64 = 4.0;

impl Row {
    /// Whether the worse end of the interval meets the goal; `None` when there was no daprd.
    pub fn met(&self) -> Option<bool> {
        let daprd = self.ratio.map(|ratio| ratio.high <= self.goal)?;
        let control = self.goal_to_control.zip(self.to_control).is_none_or(|(goal, ratio)| ratio.high <= goal);
        let memory = self.memory.is_none_or(|memory| memory.ours <= STREAM_MEMORY);
        let errors = self.details["ottavo"]["errors"].as_u64().unwrap_or(0);
        Some(daprd && control && memory && errors == 0)
    }
}

/// Something measured without requests.
#[derive(Debug, Clone)]
pub struct Standing {
    pub name: String,
    pub unit: String,
    /// The most that is a success.
    pub goal: f64,
    pub ours: f64,
    pub theirs: Option<f64>,
}

/// What is added to the latency of a direct call, on a fixed schedule.
#[derive(Debug, Clone, Default)]
pub struct Latency {
    pub name: String,
    /// Calls a second.
    pub rate: f64,
    /// The direct call itself.
    pub direct: Percentiles,
    pub ours: Percentiles,
    pub theirs: Option<Percentiles>,
    pub control: Percentiles,
    /// Microseconds of CPU a call at this rate, by subject.
    pub cpu: Vec<(String, f64)>,
    /// What makes the numbers doubtful.
    pub problems: Vec<String>,
}

/// p50, p90 and p99, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Percentiles(pub [f64; 3]);

/// Twice what can be served.
#[derive(Debug, Clone)]
pub struct Overload {
    pub name: String,
    pub ours: Overloaded,
    pub theirs: Option<Overloaded>,
}

/// One subject under it.
#[derive(Debug, Clone, Default)]
pub struct Overloaded {
    /// The highest rate a second that was served without refusal.
    pub capacity: f64,
    /// What is served at twice that rate, as a part of it.
    pub goodput: f64,
    /// 429 or `RESOURCE_EXHAUSTED`.
    pub refused: u64,
    /// Other errors.
    pub failed: u64,
    /// Calls for which the generator had no place left: they wait for answers.
    pub unbegun: u64,
    /// Milliseconds, from the intended begin.
    pub refusal_p99: f64,
    pub accepted_p99: f64,
    pub capacity_p99: f64,
    /// MB by which the process that grew most grew.
    pub growth: f64,
    pub first_error: Option<String>,
}

impl Overloaded {
    /// Goodput that is a success.
    pub const GOODPUT: f64 = 0.9;
    /// MB that count as flat.
    pub const FLAT: f64 = 4.0;

    /// Whether it is served as promised: the capacity is, the rest is refused, and memory is flat.
    pub fn met(&self) -> bool {
        self.goodput >= Self::GOODPUT && self.refused > 0 && self.failed == 0 && self.growth <= Self::FLAT
    }
}

/// What functions cost, or hold.
#[derive(Debug, Clone)]
pub struct Function {
    pub name: String,
    pub unit: String,
    pub ours: f64,
    /// The most that is a success; none: it is only told.
    pub goal: Option<f64>,
    /// What stands behind it, and beside it, in words.
    pub beside: String,
    pub details: Value,
}

impl Function {
    /// Whether the goal is met; a value that is no number misses it.
    pub fn met(&self) -> Option<bool> {
        self.goal.map(|goal| self.ours <= goal)
    }
}

/// What an answer or a hop costs by itself.
#[derive(Debug, Clone)]
pub struct Yardstick {
    pub name: String,
    /// Microseconds of CPU a request.
    pub cpu: f64,
}

/// A whole run.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub rows: Vec<Row>,
    pub latencies: Vec<Latency>,
    pub overloads: Vec<Overload>,
    pub functions: Vec<Function>,
    pub standing: Vec<Standing>,
    pub yardsticks: Vec<Yardstick>,
    notes: Vec<String>,
}

impl Document {
    /// An empty one, with how it was measured.
    pub fn new(settings: &Settings) -> Self {
        let mut notes = vec![format!(
            "{} pairs of blocks of {:?}; CPU by the kernel's scheduler; intervals hold 95 % (bootstrap)",
            settings.pairs, settings.block
        )];
        if settings.daprd.is_none() {
            notes
                .push("no daprd was given (--daprd PATH): there is nothing to compare with but the control".to_owned());
        }
        Self { notes, ..Self::default() }
    }

    fn all_notes(&self) -> Vec<String> {
        let mut notes = self.notes.clone();
        for row in &self.rows {
            for who in ["ottavo", "daprd", "control"] {
                let details = &row.details[who];
                if let Some(errors) = details["errors"].as_u64().filter(|errors| *errors > 0) {
                    notes
                        .push(format!("{}: {errors} errors of {who}, the first: {}", row.name, details["first_error"]));
                }
            }
            if let Some(dropped) = row.details["dropped_pairs"].as_u64().filter(|dropped| *dropped > 0) {
                let pairs = &row.details["pairs"];
                notes.push(format!("{}: {dropped} of {pairs} pairs dropped by the rule", row.name));
            }
        }
        for latency in &self.latencies {
            let at = format!("{} at {} a second", latency.name, latency.rate);
            notes.extend(latency.problems.iter().map(|problem| format!("{at}: {problem}")));
        }
        for overload in &self.overloads {
            let all = [("ottavo", Some(&overload.ours)), ("daprd", overload.theirs.as_ref())];
            for (who, first) in all.into_iter().filter_map(|(who, one)| Some((who, one?.first_error.as_ref()?))) {
                notes.push(format!("{}: the first error of {who}: {first}", overload.name));
            }
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A document with a row of each kind.
    pub fn document() -> Document {
        let estimate = |mean: f64| Some(Estimate { mean, low: mean * 0.9, high: mean * 1.1 });
        let row = Row {
            name: "P1 <invoke>".to_owned(),
            unit: "request".to_owned(),
            goal: 0.15,
            goal_to_control: Some(1.35),
            ratio: estimate(0.1),
            to_control: estimate(1.2),
            ours: 55.0,
            theirs: Some(550.0),
            control: Some(46.0),
            memory: None,
            details: json!({ "ottavo": { "errors": 0, "p99_us": 1000.0 }, "dropped_pairs": 1, "pairs": 12 }),
        };
        let over = Overloaded { capacity: 9000.0, goodput: 0.95, refused: 7, ..Overloaded::default() };
        Document {
            rows: vec![row],
            latencies: vec![Latency { name: "latency".to_owned(), rate: 1000.0, ..Latency::default() }],
            overloads: vec![Overload { name: "P20".to_owned(), ours: over, theirs: None }],
            functions: vec![Function {
                name: "F1 call".to_owned(),
                unit: "us".to_owned(),
                ours: 4.0,
                goal: Some(5.0),
                beside: "9000 instructions".to_owned(),
                details: json!({}),
            }],
            standing: vec![Standing {
                name: "P18 memory".to_owned(),
                unit: "MB".to_owned(),
                goal: 12.0,
                ours: 11.0,
                theirs: Some(88.0),
            }],
            yardsticks: vec![Yardstick { name: "raw responder".to_owned(), cpu: 6.5 }],
            notes: Vec::new(),
        }
    }

    #[test]
    fn a_goal_is_met_by_the_worse_end_of_the_interval_and_without_errors() {
        let mut row = document().rows.remove(0);
        assert_eq!(row.met(), Some(true));
        row.memory = Some(Memory { ours: 5.0, theirs: None });
        assert_eq!(row.met(), Some(false));
        row.memory = None;
        row.details["ottavo"]["errors"] = 1.into();
        assert_eq!(row.met(), Some(false));
        row.ratio = None;
        assert_eq!(row.met(), None);
    }

    #[test]
    fn overload_must_be_refused_and_not_queued() {
        let mut over = document().overloads.remove(0).ours;
        assert!(over.met());
        over.refused = 0;
        assert!(!over.met());
    }
}
