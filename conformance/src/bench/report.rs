//! What came out, for people and for programs.

use serde_json::{Value, json};

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
    pub details: Value,
}

impl Row {
    /// Whether the worse end of the interval meets the goal; `None` when there was no daprd.
    pub fn met(&self) -> Option<bool> {
        let daprd = self.ratio.map(|ratio| ratio.high <= self.goal)?;
        let control = self.goal_to_control.zip(self.to_control).is_none_or(|(goal, ratio)| ratio.high <= goal);
        Some(daprd && control)
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

/// A whole run.
#[derive(Debug, Clone, Default)]
pub struct Document {
    pub rows: Vec<Row>,
    pub standing: Vec<Standing>,
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

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            text.push_str("| scenario | CPU, ottavo | daprd | control | ratio to daprd | goal | ratio to control | p99, ottavo / daprd | |\n");
            text.push_str("|---|---|---|---|---|---|---|---|---|\n");
        }
        for row in &self.rows {
            let us = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} us"));
            let range = |estimate: Option<Estimate>| {
                estimate.map_or("-".to_owned(), |e| format!("**{:.3}** ({:.3} to {:.3})", e.mean, e.low, e.high))
            };
            let p99 = |who: &str| row.details["p99_us"][who].as_f64().unwrap_or(0.0) / 1e3;
            let control_goal = row.goal_to_control.map_or(String::new(), |goal| format!(", goal {goal}"));
            text.push_str(&format!(
                "| {}, a {} | {} | {} | {} | {} | {} | {}{control_goal} | {:.1} / {:.1} ms | {} |\n",
                row.name,
                row.unit,
                us(Some(row.ours)),
                us(row.theirs),
                us(row.control),
                range(row.ratio),
                row.goal,
                range(row.to_control),
                p99("ottavo"),
                p99("daprd"),
                match row.met() {
                    Some(true) => "met",
                    Some(false) => "missed",
                    None => "not compared",
                }
            ));
        }
        if !self.standing.is_empty() {
            text.push_str("\n| | ottavo | daprd | goal | |\n|---|---|---|---|---|\n");
        }
        for row in &self.standing {
            let theirs = row.theirs.map_or("-".to_owned(), |value| format!("{value:.1} {}", row.unit));
            let met = if row.ours <= row.goal { "met" } else { "missed" };
            text.push_str(&format!(
                "| {} | {:.1} {} | {theirs} | {} {} | {met} |\n",
                row.name, row.ours, row.unit, row.goal, row.unit
            ));
        }
        for note in self.all_notes() {
            text.push_str(&format!("\n- {note}"));
        }
        text.push('\n');
        text
    }

    fn all_notes(&self) -> Vec<String> {
        let errors = self.rows.iter().filter_map(|row| {
            let errors = &row.details["errors"];
            let any = ["ottavo", "daprd"].iter().any(|who| errors[*who].as_u64().unwrap_or(0) > 0);
            any.then(|| format!("{}: errors {errors}, the first: {}", row.name, row.details["first_error"]))
        });
        let dropped = self.rows.iter().filter_map(|row| {
            let count = row.details["dropped_pairs"].as_u64().filter(|count| *count > 0)?;
            Some(format!("{}: {count} pairs dropped by the rule", row.name))
        });
        self.notes.iter().cloned().chain(errors).chain(dropped).collect()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let estimate = |e: Option<Estimate>| e.map(|e| json!({ "mean": e.mean, "low": e.low, "high": e.high }));
        let rows = self.rows.iter().map(|row| {
            json!({
                "name": row.name, "unit": row.unit, "goal": row.goal, "met": row.met(),
                "ratio": estimate(row.ratio), "ratio_to_control": estimate(row.to_control),
                "cpu_us": { "ottavo": row.ours, "daprd": row.theirs, "control": row.control },
                "details": row.details,
            })
        });
        let standing = self.standing.iter().map(|row| {
            json!({ "name": row.name, "unit": row.unit, "goal": row.goal, "ottavo": row.ours, "daprd": row.theirs })
        });
        json!({
            "rows": rows.collect::<Vec<_>>(),
            "standing": standing.collect::<Vec<_>>(),
            "notes": self.all_notes(),
        })
    }
}
