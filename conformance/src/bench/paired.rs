//! A scenario in pairs of blocks: ours, theirs, theirs, ours, so that a slow minute of the machine meets both. The
//! control takes every fourth pair.

use serde_json::{Value, json};

use super::block::{self, Block};
use super::machine;
use super::progress::Progress;
use super::report::{Memory, Row};
use super::scenarios::Scenario;
use super::statistics::{Estimate, geometric_mean, median};
use super::subject::{Running, Subject};
use super::{BAD_MINUTE, Settings, WORST_STEAL};

/// How many blocks a scenario takes, for the progress.
pub fn blocks(settings: &Settings, scenario: &dyn Scenario) -> u64 {
    let pairs = u64::from(scenario.pairs(settings.pairs));
    let subjects = if settings.daprd.is_some() { 2 } else { 1 };
    // One of each to warm up.
    (pairs + 1) * subjects + pairs.div_ceil(4) + 1
}

/// A subject with the blocks that were measured of it.
struct Measured {
    running: Running,
    /// What each process had resident before anything was asked of it, in MB.
    before: Vec<f64>,
    blocks: Vec<Block>,
}

impl Measured {
    /// Starts a subject, and warms it up for a block.
    fn start(settings: &Settings, scenario: &dyn Scenario, subject: &Subject) -> Option<Self> {
        let running = scenario.start(subject)?;
        let before = running.ids.iter().map(|id| machine::resident(*id)).collect();
        let blocks = Vec::with_capacity(settings.pairs as usize);
        let mut measured = Self { running, before, blocks };
        measured.measure(settings);
        Some(measured)
    }

    fn measure(&mut self, settings: &Settings) {
        self.blocks.push(block::measure(&self.running, settings.block));
    }

    /// Ends the warm-up: its CPU does not count, its memory does.
    fn warm(&mut self) -> Vec<f64> {
        self.blocks.drain(..).flat_map(|block| block.peaks).collect()
    }

    /// The most that any one process has grown, in MB.
    fn growth(&self, warm: &[f64]) -> f64 {
        let peaks = std::iter::once(warm).chain(self.blocks.iter().map(|block| block.peaks.as_slice()));
        peaks.flat_map(|peaks| peaks.iter().zip(&self.before).map(|(peak, before)| peak - before)).fold(0.0, f64::max)
    }

    fn each(&self, value: impl Fn(&Block) -> f64) -> Vec<f64> {
        self.blocks.iter().map(value).collect()
    }

    /// In microseconds.
    fn cpu(&self) -> f64 {
        median(&self.each(|block| block.cpu / 1e3))
    }

    fn details(&self) -> Value {
        let percentile = |percent| median(&self.each(|b| b.counted.latencies.value_at_percentile(percent) as f64));
        json!({
            "cpu_us": self.each(|block| block.cpu / 1e3),
            "machine_us": median(&self.each(|block| block.machine / 1e3)),
            "requests_per_second": median(&self.each(|block| block.counted.rate())),
            "p50_us": percentile(50.0),
            "p99_us": percentile(99.0),
            "errors": self.blocks.iter().map(|block| block.counted.errors).sum::<u64>(),
            "first_error": self.blocks.iter().find_map(|block| block.counted.first_error.as_ref()),
            "generator_us": median(&self.each(|b| b.counted.cpu.as_secs_f64() * 1e6 / b.counted.requests.max(1) as f64)),
            "steal": self.each(|block| block.steal),
            "resident_before_mb": self.before,
        })
    }
}

/// Measures one scenario.
pub fn measure(settings: &Settings, scenario: &dyn Scenario, progress: &mut Progress) -> Row {
    progress.say(&format!("{}: starting", scenario.name()));
    let mut start = |subject| {
        let measured = Measured::start(settings, scenario, &subject);
        progress.done();
        measured
    };
    let mut ours = start(Subject::Ottavo(settings.ottavo.clone())).expect("every scenario is Ottavo's");
    let mut theirs = settings.daprd.clone().and_then(|path| start(Subject::Daprd(path)));
    let mut control = start(Subject::Control);
    let our_warm = ours.warm();
    let their_warm = theirs.as_mut().map(Measured::warm).unwrap_or_default();
    control.iter_mut().for_each(|control| _ = control.warm());
    let pairs = scenario.pairs(settings.pairs);
    for pair in 0..pairs {
        for first in [pair % 2 == 0, pair % 2 != 0] {
            match (&mut theirs, first) {
                (_, true) => ours.measure(settings),
                (Some(theirs), false) => theirs.measure(settings),
                (None, false) => continue,
            }
            progress.done();
        }
        if pair % 4 == 0 {
            control.iter_mut().for_each(|control| control.measure(settings));
            progress.done();
        }
        let last = |measured: &Measured| measured.blocks.last().map_or(0.0, |block| block.cpu / 1e3);
        let beside = theirs.as_ref().map_or(String::new(), |theirs| format!(" beside {:.1} us", last(theirs)));
        progress.say(&format!("{}: pair {} of {pairs}: {:.1} us{beside}", scenario.name(), pair + 1, last(&ours)));
    }
    let kept = kept(&ours, theirs.as_ref(), control.as_ref());
    let memory = scenario.streams().map(|streams| {
        let each = |growth: f64| growth / f64::from(streams);
        Memory { ours: each(ours.growth(&our_warm)), theirs: theirs.as_ref().map(|t| each(t.growth(&their_warm))) }
    });
    let limit = control.as_ref().map(Measured::cpu);
    Row {
        name: scenario.name().to_owned(),
        unit: scenario.unit().to_owned(),
        goal: scenario.goal(),
        goal_to_control: scenario.goal_to_control(),
        ratio: theirs.as_ref().and_then(|theirs| ratio(&ours, &kept, |pair| theirs.blocks[pair].cpu / 1e3)),
        to_control: limit.and_then(|limit| ratio(&ours, &kept, |_| limit)),
        ours: ours.cpu(),
        theirs: theirs.as_ref().map(Measured::cpu),
        control: limit,
        memory,
        details: json!({
            "pairs": pairs,
            "dropped_pairs": ours.blocks.len() - kept.len(),
            "ottavo": ours.details(),
            "daprd": theirs.as_ref().map(Measured::details),
            "control": control.as_ref().map(Measured::details),
        }),
    }
}

/// The pairs that count, by a rule fixed beforehand: not those in whose blocks other machines took more than
/// [`WORST_STEAL`], and not those near a block of the control that cost more than [`BAD_MINUTE`] times its median.
fn kept(ours: &Measured, theirs: Option<&Measured>, control: Option<&Measured>) -> Vec<usize> {
    let limits = control.map(|control| control.each(|block| block.cpu)).unwrap_or_default();
    let worst = BAD_MINUTE * median(&limits);
    let stolen = |measured: &Measured, pair: usize| measured.blocks[pair].steal > WORST_STEAL;
    (0..ours.blocks.len())
        .filter(|pair| !stolen(ours, *pair) && !theirs.is_some_and(|theirs| stolen(theirs, *pair)))
        .filter(|pair| limits.get(pair / 4).is_none_or(|limit| *limit <= worst))
        .collect()
}

fn ratio(ours: &Measured, kept: &[usize], to: impl Fn(usize) -> f64) -> Option<Estimate> {
    let ratios = kept.iter().map(|pair| ours.blocks[*pair].cpu / 1e3 / to(*pair)).filter(|ratio| ratio.is_finite());
    geometric_mean(&ratios.collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::generator::Counted;
    use super::*;

    fn measured(blocks: &[(f64, f64)]) -> Measured {
        let block =
            |&(cpu, steal)| Block { counted: Counted::default(), cpu, machine: 0.0, steal, peaks: vec![cpu, 3.0] };
        let running = Running { ids: Vec::new(), drive: Box::new(|_: Duration| Counted::default()) };
        Measured { running, before: vec![1.0, 1.0], blocks: blocks.iter().map(block).collect() }
    }

    #[test]
    fn pairs_of_bad_minutes_are_dropped() {
        let ours = measured(&[(1.0, 0.0), (1.0, 0.06), (1.0, 0.0), (1.0, 0.0), (1.0, 0.0)]);
        let theirs = measured(&[(2.0, 0.0), (2.0, 0.0), (2.0, 0.2), (4.0, 0.0), (2.0, 0.0)]);
        let control = measured(&[(1.0, 0.0), (1.6, 0.0), (1.0, 0.0)]);
        assert_eq!(kept(&ours, Some(&theirs), None), [0, 3, 4]);
        assert_eq!(kept(&ours, Some(&theirs), Some(&control)), [0, 3]);
        let ratio = ratio(&ours, &[0, 3], |pair| theirs.blocks[pair].cpu / 1e3).unwrap();
        assert!((ratio.mean - 0.125_f64.sqrt()).abs() < 1e-9, "{ratio:?}");
    }

    #[test]
    fn growth_is_that_of_the_process_that_grew_most() {
        assert!((measured(&[(5.0, 0.0)]).growth(&[1.0, 2.0]) - 4.0).abs() < 1e-12);
        assert!((measured(&[(2.0, 0.0)]).growth(&[1.0, 9.0]) - 8.0).abs() < 1e-12);
    }
}
