//! Twice as much is offered as can be served: what is served then, and what becomes of the rest.

use super::Settings;
use super::block::{self, Block};
use super::closed_loop;
use super::generator::{Counted, Work};
use super::machine;
use super::open_loop;
use super::pair::{Pair, Traffic};
use super::progress::Progress;
use super::report::{Overload, Overloaded};
use super::scenarios::invoke;
use super::subject::Subject;

/// The names, as in the goals.
pub const HTTP: &str = "P20 overload, HTTP invoke, two sidecars";
pub const GRPC: &str = "P20 overload, gRPC invoke, two sidecars";
/// Calls that may run at once: more than a sidecar that refuses lets in.
const CONNECTIONS: usize = 1024;
const STREAMS: usize = 64;
/// Rates that are tried, from above, as parts of what a closed loop reaches.
const LADDER: [f64; 9] = [1.1, 1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5];
/// The share of what was offered that must be served for a rate to be held.
const SERVED: f64 = 0.99;
/// Blocks at twice the capacity.
const BLOCKS: u32 = 5;

/// How many blocks it takes at most, for the progress.
pub fn blocks(settings: &Settings) -> u64 {
    let subjects = if settings.daprd.is_some() { 2 } else { 1 };
    subjects * (LADDER.len() as u64 + 2)
}

/// Measures one of the two.
pub fn measure(name: &'static str, settings: &Settings, progress: &mut Progress) -> Overload {
    let mut of = |subject: Subject| {
        progress.say(&format!("{name}: {}", subject.name()));
        overloaded(name, &subject, settings, progress)
    };
    let ours = of(Subject::Ottavo(settings.ottavo.clone()));
    let theirs = settings.daprd.clone().map(|path| of(Subject::Daprd(path)));
    Overload { name: name.to_owned(), ours, theirs }
}

fn overloaded(name: &str, subject: &Subject, settings: &Settings, progress: &mut Progress) -> Overloaded {
    let (traffic, work) = if name == GRPC {
        let connections = CONNECTIONS / STREAMS;
        (Traffic::Grpc, Work { connections, streams: STREAMS, ..invoke::grpc(subject) })
    } else {
        (Traffic::Http, Work { connections: CONNECTIONS, ..invoke::http(subject) })
    };
    let pair = Pair::start(subject, traffic);
    // What it can do at best, with as many calls at once as the other scenarios have.
    let (connections, streams) = if work.streams > 0 { (4, 4) } else { (16, 0) };
    let few = Work { connections, streams, ..work.clone() };
    let best = closed_loop::run(&few, pair.port, settings.block);
    progress.done();
    let mut planned = LADDER.len();
    let held = LADDER.iter().find_map(|part| {
        let rate = best.rate() * part;
        let counted = open_loop::run(&work, pair.port, rate, settings.block);
        progress.done();
        planned -= 1;
        held(&counted, rate * settings.block.as_secs_f64()).then_some((rate, counted))
    });
    (0..planned).for_each(|_| progress.done());
    // Nothing was held: then half of the best stands for it, and the report shows what that means.
    let (capacity, at_capacity) = held.unwrap_or((best.rate() / 2.0, best));
    let before: Vec<f64> = pair.ids.iter().map(|id| machine::resident(*id)).collect();
    let over = block::measured(&pair.ids, || open_loop::run(&work, pair.port, 2.0 * capacity, settings.block * BLOCKS));
    progress.done();
    summary(capacity, &at_capacity, &over, &before)
}

/// Whether all of `offered` calls were served, and none refused.
fn held(counted: &Counted, offered: f64) -> bool {
    counted.errors == 0 && counted.requests as f64 >= SERVED * offered
}

fn summary(capacity: f64, at_capacity: &Counted, over: &Block, before: &[f64]) -> Overloaded {
    let counted = &over.counted;
    let growth = over.peaks.iter().zip(before).map(|(peak, before)| peak - before).fold(0.0, f64::max);
    let p99 = |latencies: &hdrhistogram::Histogram<u64>| latencies.value_at_percentile(99.0) as f64 / 1e3;
    Overloaded {
        capacity,
        goodput: counted.rate() / capacity,
        refused: counted.refused,
        failed: counted.errors - counted.refused,
        unbegun: counted.unbegun,
        refusal_p99: p99(&counted.refusals),
        accepted_p99: p99(&counted.latencies),
        capacity_p99: p99(&at_capacity.latencies),
        growth,
        first_error: counted.first_error.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_held_when_all_is_served_and_nothing_refused() {
        let counted = |requests, errors| Counted { requests, errors, ..Counted::default() };
        assert!(held(&counted(995, 0), 1000.0));
        assert!(!held(&counted(1000, 1), 1000.0) && !held(&counted(900, 0), 1000.0));
    }

    #[test]
    fn goodput_is_what_was_served_of_the_capacity() {
        let counted = Counted {
            requests: 180,
            errors: 21,
            refused: 20,
            elapsed: std::time::Duration::from_secs(2),
            ..Counted::default()
        };
        let over = Block { counted, cpu: 0.0, machine: 0.0, steal: 0.0, peaks: vec![12.0, 20.0] };
        let summary = summary(100.0, &Counted::default(), &over, &[11.0, 17.0]);
        assert!((summary.goodput - 0.9).abs() < 1e-12 && (summary.growth - 3.0).abs() < 1e-12);
        assert_eq!((summary.refused, summary.failed), (20, 1));
    }
}
