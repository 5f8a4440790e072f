//! What a proof has measured: a table, and the bounds that must hold.

use serde_json::{Value, json};

/// Something that was promised.
#[derive(Debug, Clone)]
pub struct Bound {
    /// What is bounded.
    pub what: String,
    /// The bound, as it is written.
    pub limit: String,
    /// What was measured.
    pub measured: String,
    /// Whether it held.
    pub held: bool,
}

impl Bound {
    /// `measured` must be at most `most`; both in `unit`.
    pub fn at_most(what: impl Into<String>, measured: u64, most: u64, unit: &str) -> Self {
        Self {
            what: what.into(),
            limit: format!("at most {most} {unit}"),
            measured: format!("{measured} {unit}"),
            held: measured <= most,
        }
    }

    /// Nothing of this may happen.
    pub fn none(what: impl Into<String>, measured: usize) -> Self {
        Self { what: what.into(), limit: "none".into(), measured: measured.to_string(), held: measured == 0 }
    }
}

/// The outcome of a proof.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The proof's name.
    pub proof: String,
    /// The table's head.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// What must hold.
    pub bounds: Vec<Bound>,
    /// Further facts, one a line.
    pub notes: Vec<String>,
}

impl Report {
    /// A report without rows.
    pub fn new(proof: &str, columns: &[&str]) -> Self {
        let columns = columns.iter().map(|&column| column.to_owned()).collect();
        Self { proof: proof.to_owned(), columns, ..Self::default() }
    }

    /// Adds a row of the table.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Whether every bound held.
    pub fn held(&self) -> bool {
        self.bounds.iter().all(|bound| bound.held)
    }

    /// The bounds that were missed, and what is noted, for a test's message.
    pub fn missed(&self) -> String {
        let missed = self.bounds.iter().filter(|bound| !bound.held);
        let lines = missed.map(|bound| format!("{}: {}, must be {}", bound.what, bound.measured, bound.limit));
        lines.chain(self.notes.iter().cloned()).collect::<Vec<_>>().join("\n")
    }

    /// As Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", self.proof);
        text.push_str(&table(&self.columns, &self.rows));
        text.push('\n');
        let bounds = self.bounds.iter().map(|bound| {
            let verdict = if bound.held { "held" } else { "MISSED" };
            vec![bound.what.clone(), bound.limit.clone(), bound.measured.clone(), verdict.to_owned()]
        });
        let head = ["bound", "limit", "measured", ""].map(str::to_owned);
        text.push_str(&table(&head, &bounds.collect::<Vec<_>>()));
        for note in &self.notes {
            text.push_str(&format!("\n- {note}"));
        }
        text.push('\n');
        text
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let bounds = self.bounds.iter().map(
            |bound| json!({ "what": bound.what, "limit": bound.limit, "measured": bound.measured, "held": bound.held }),
        );
        json!({
            "proof": self.proof,
            "held": self.held(),
            "columns": self.columns,
            "rows": self.rows,
            "bounds": bounds.collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head);
    text.push_str(&format!("|{}\n", " --- |".repeat(head.len())));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_bound_shows_everywhere() {
        let mut report = Report::new("proof", &["phase", "calls"]);
        report.row(["first".to_owned(), "3".to_owned()]);
        report.bounds.push(Bound::at_most("growth", 3, 2, "MB"));
        report.bounds.push(Bound::none("failures", 0));
        assert!(!report.held());
        assert!(report.markdown().contains("| growth | at most 2 MB | 3 MB | MISSED |"));
        assert!(report.markdown().contains("| first | 3 |"));
        assert_eq!(report.json()["bounds"][1]["held"], true);
        assert!(report.missed().starts_with("growth: 3 MB"));
    }
}
