//! As Markdown: a table of each kind of row, each with the limits of the machine beside it.

use super::{Document, Overloaded, Percentiles, Row, STREAM_MEMORY};
use crate::bench::statistics::Estimate;

impl Document {
    /// As Markdown.
    pub fn markdown(&self) -> String {
        let tables = [self.scenarios(), self.added(), self.overloaded(), self.called(), self.stood()];
        let limits = self.limits();
        let mut text = String::new();
        for (head, rows) in tables.into_iter().filter(|(_, rows)| !rows.is_empty()) {
            text.push_str(&table(head, &rows));
            text.push_str(&format!("\n{limits}\n\n"));
        }
        for note in self.all_notes() {
            text.push_str(&format!("- {note}\n"));
        }
        text
    }

    /// What a hop costs by itself, in one line.
    pub(super) fn limits(&self) -> String {
        let limits = self.yardsticks.iter().map(|limit| format!("{} {:.1} us", limit.name, limit.cpu));
        let limits = limits.collect::<Vec<_>>().join("; ");
        if limits.is_empty() { String::new() } else { format!("The limit here, CPU a request: {limits}.") }
    }

    fn scenarios(&self) -> (&'static str, Vec<String>) {
        let head = "scenario | CPU, ottavo | daprd | control | ratio to daprd | goal | ratio to control | goal | \
                    memory a stream, ottavo / daprd | p99, ottavo / daprd | requests a second | ";
        (head, self.rows.iter().map(scenario).collect())
    }

    fn added(&self) -> (&'static str, Vec<String>) {
        let head = "added latency, p50 / p90 / p99 | direct | ottavo | daprd | control | CPU a call | ";
        let row = |latency: &super::Latency| {
            let cpu = latency.cpu.iter().filter(|(name, _)| name != "direct");
            let cpu = cpu.map(|(name, cpu)| format!("{name} {cpu:.0} us")).collect::<Vec<_>>().join(", ");
            format!(
                "{}, {} a second | {} | {} | {} | {} | {cpu} | not gated",
                latency.name,
                latency.rate,
                percentiles(latency.direct),
                percentiles(latency.ours),
                latency.theirs.map_or("-".to_owned(), percentiles),
                percentiles(latency.control)
            )
        };
        (head, self.latencies.iter().map(row).collect())
    }

    fn overloaded(&self) -> (&'static str, Vec<String>) {
        let head = "twice the capacity is offered | capacity | goodput | goal | refused | their p99 | p99 of accepted | \
                    p99 at capacity | failed | never begun | memory | ";
        let row = |name: &str, who: &str, one: &Overloaded| {
            format!(
                "{name}, {who} | {:.0}/s | {:.0} % | {:.0} % | {} | {:.1} ms | {:.1} ms | {:.1} ms | {} | {} | +{:.1} MB | {}",
                one.capacity,
                one.goodput * 100.0,
                Overloaded::GOODPUT * 100.0,
                one.refused,
                one.refusal_p99,
                one.accepted_p99,
                one.capacity_p99,
                one.failed,
                one.unbegun,
                one.growth,
                if who == "daprd" { "" } else { verdict(Some(one.met())) }
            )
        };
        let mut rows = Vec::new();
        for overload in &self.overloads {
            rows.push(row(&overload.name, "ottavo", &overload.ours));
            rows.extend(overload.theirs.as_ref().map(|theirs| row(&overload.name, "daprd", theirs)));
        }
        (head, rows)
    }

    fn called(&self) -> (&'static str, Vec<String>) {
        let row = |row: &super::Function| {
            let goal = row.goal.map_or("-".to_owned(), |goal| format!("{goal} {}", row.unit));
            let met = row.goal.map_or("", |_| verdict(row.met()));
            format!("{} | {:.2} {} | {goal} | {} | {met}", row.name, row.ours, row.unit, row.beside)
        };
        ("functions | ottavo | goal | beside | ", self.functions.iter().map(row).collect())
    }

    fn stood(&self) -> (&'static str, Vec<String>) {
        let row = |row: &super::Standing| {
            let theirs = row.theirs.map_or("-".to_owned(), |value| format!("{value:.1} {}", row.unit));
            let met = verdict(Some(row.ours <= row.goal));
            format!("{} | {:.1} {} | {theirs} | {} {} | {met}", row.name, row.ours, row.unit, row.goal, row.unit)
        };
        ("without requests | ottavo | daprd | goal | ", self.standing.iter().map(row).collect())
    }
}

fn scenario(row: &Row) -> String {
    let us = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1} us"));
    let range = |estimate: Option<Estimate>| {
        estimate.map_or("-".to_owned(), |e| format!("**{:.3}** ({:.3} to {:.3})", e.mean, e.low, e.high))
    };
    let both = |name: &str, factor: f64, digits: usize| {
        let value = |who: &str| {
            let value = row.details[who][name].as_f64();
            value.map_or("-".to_owned(), |value| format!("{:.digits$}", value * factor))
        };
        format!("{} / {}", value("ottavo"), value("daprd"))
    };
    let memory = row.memory.map_or("-".to_owned(), |memory| {
        let theirs = memory.theirs.map_or("-".to_owned(), |theirs| format!("{theirs:.1}"));
        format!("{:.1} / {theirs} MB, goal {STREAM_MEMORY}", memory.ours)
    });
    format!(
        "{}, a {} | {} | {} | {} | {} | {} | {} | {} | {memory} | {} ms | {} | {}",
        row.name,
        row.unit,
        us(Some(row.ours)),
        us(row.theirs),
        us(row.control),
        range(row.ratio),
        row.goal,
        range(row.to_control),
        row.goal_to_control.map_or("-".to_owned(), |goal| goal.to_string()),
        both("p99_us", 1e-3, 1),
        both("requests_per_second", 1.0, 0),
        verdict(row.met())
    )
}

fn percentiles(Percentiles(values): Percentiles) -> String {
    values.map(|value| format!("{:.2}", value / 1e3)).join(" / ") + " ms"
}

fn verdict(met: Option<bool>) -> &'static str {
    match met {
        Some(true) => "met",
        Some(false) => "**missed**",
        None => "not compared",
    }
}

fn table(head: &str, rows: &[String]) -> String {
    let columns = head.split('|').count();
    let mut text = format!("| {head}|\n|{}\n", "---|".repeat(columns));
    rows.iter().for_each(|row| text.push_str(&format!("| {row} |\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::document;

    #[test]
    fn every_row_has_as_many_cells_as_its_head_and_every_table_its_limits() {
        let text = document().markdown();
        let cells = |line: &str| line.matches('|').count();
        let tables: Vec<Vec<&str>> =
            text.split("\n\n").map(|part| part.lines().filter(|line| line.starts_with('|')).collect()).collect();
        let tables: Vec<_> = tables.into_iter().filter(|lines: &Vec<&str>| !lines.is_empty()).collect();
        assert_eq!(tables.len(), 5, "{text}");
        for lines in tables {
            assert!(lines.len() > 2 && lines.iter().all(|line| cells(line) == cells(lines[0])), "{lines:#?}");
        }
        assert_eq!(text.matches("raw responder 6.5 us").count(), 5);
        assert!(text.contains("1 of 12 pairs dropped") && text.contains("| met |"));
    }
}
