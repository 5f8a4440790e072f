//! The benchmark: Ottavo beside a real daprd and bare hyper, in one run, in paired blocks.
//!
//! CPU is what the kernel's scheduler accounts to the sidecars' threads, over the requests that ended well.
//!
//! * [`scenarios`]: what is done; [`pair`], [`receiver`], [`responder`]: what it is done with.
//! * [`generator`], [`protocol`]: load; [`closed_loop`] and [`open_loop`] are its two ways, [`loadgen`] its command.
//! * [`control`], [`yardstick`]: the limit.
//! * [`paired`], [`latency`], [`overload`], [`standing`]: how it is measured; [`block`] and [`machine`] read the kernel.
//! * [`functions`]: calls of WebAssembly functions, and what they do to others.
//! * [`report`]: what came out.

mod block;
pub mod closed_loop;
pub mod control;
pub mod functions;
pub mod generator;
mod latency;
pub mod loadgen;
mod machine;
pub mod open_loop;
mod overload;
mod pair;
mod paired;
mod progress;
mod protocol;
mod receiver;
mod report;
mod responder;
mod scenarios;
mod standing;
mod statistics;
mod subject;
mod yardstick;

use std::path::PathBuf;
use std::time::Duration;

use progress::Progress;
use report::Document;
pub use standing::Lengths;
use yardstick::Yardsticks;

/// A control block whose CPU is this many times the median is a bad minute.
const BAD_MINUTE: f64 = 1.5;
/// As is a block of whose time other machines took more than this.
const WORST_STEAL: f64 = 0.05;

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Settings {
    pub ottavo: PathBuf,
    /// The real daprd; without it ratios to it are left out, and the report says so.
    pub daprd: Option<PathBuf>,
    /// Pairs of blocks of each scenario.
    pub pairs: u32,
    /// The length of a block.
    pub block: Duration,
    /// A wasmtime, for what its `serve` takes; without it that is a recorded figure.
    pub wasmtime: Option<PathBuf>,
    /// Only scenarios whose name begins so; all when empty.
    pub scenarios: Vec<String>,
    /// How long and how much is done for what is measured without requests.
    pub standing: Lengths,
}

impl Settings {
    /// Whether a scenario is to be run: `P1` means `P1 ...`, and not `P16 ...`.
    fn wants(&self, name: &str) -> bool {
        let begins =
            |start: &str| name.strip_prefix(start).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        self.scenarios.is_empty() || self.scenarios.iter().any(|start| begins(start))
    }
}

/// Runs the benchmark, with progress on standard error.
pub fn run(settings: &Settings) -> Document {
    let mut document = Document::new(settings);
    let mut progress = Progress::new(settings.block);
    let scenarios: Vec<_> = scenarios::all().into_iter().filter(|scenario| settings.wants(scenario.name())).collect();
    let overloads: Vec<_> = [overload::HTTP, overload::GRPC].into_iter().filter(|name| settings.wants(name)).collect();
    let latency = settings.wants(latency::NAME);
    progress.plan(Yardsticks::ALL_BLOCKS);
    scenarios.iter().for_each(|scenario| progress.plan(paired::blocks(settings, scenario.as_ref())));
    overloads.iter().for_each(|_| progress.plan(overload::blocks(settings)));
    progress.plan(if latency { latency::blocks(settings) } else { 0 });

    let mut yardsticks = Yardsticks::start();
    yardsticks.measure(settings, &mut progress);
    for scenario in &scenarios {
        document.rows.push(paired::measure(settings, scenario.as_ref(), &mut progress));
    }
    if latency {
        document.latencies = latency::measure(settings, &mut progress);
    }
    for name in overloads {
        document.overloads.push(overload::measure(name, settings, &mut progress));
    }
    yardsticks.measure(settings, &mut progress);
    document.yardsticks = yardsticks.rows();
    drop(yardsticks);
    functions::measure(settings, &mut document);
    standing::measure(settings, &|name: &str| settings.wants(name), &mut document);
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_not_the_beginning_of_another() {
        let settings = |scenario: &str| Settings {
            ottavo: PathBuf::new(),
            daprd: None,
            wasmtime: None,
            pairs: 1,
            block: Duration::ZERO,
            scenarios: vec![scenario.to_owned()],
            standing: Lengths::default(),
        };
        assert!(settings("P1").wants("P1 HTTP invoke") && !settings("P1").wants("P16 100 MB upload"));
        assert!(
            settings("P4 state get").wants("P4 state get, HTTP") && !settings("P4 state get").wants("P4 state set")
        );
    }
}
