//! The benchmark: Ottavo beside a real daprd and bare hyper, in one run, in paired blocks.
//!
//! CPU is what the kernel's scheduler accounts to the sidecars' threads, over the requests that ended well. Blocks come
//! as ours, theirs, theirs, ours, so that a slow minute of the machine meets both; the control takes every fourth pair.
//! A pair is dropped, by a rule fixed beforehand, when the control's CPU in the nearest block is more than 1.5 times its
//! median.

mod closed_loop;
pub mod control;
mod report;
mod scenarios;
mod standing;
mod statistics;
mod subject;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::load::cpu_of;
use closed_loop::Counted;
use report::{Document, Row};
use statistics::{geometric_mean, median};
use subject::{Running, Subject};

/// A control block whose CPU is this many times the median is a bad minute.
const BAD_MINUTE: f64 = 1.5;

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
    /// Only scenarios whose name begins so; all when empty.
    pub scenarios: Vec<String>,
}

/// One block.
struct Block {
    counted: Counted,
    /// Nanoseconds of CPU a request.
    cpu: f64,
}

/// Runs the benchmark, with progress on standard error.
pub fn run(settings: &Settings) -> Document {
    let mut document = Document::new(settings);
    let wanted = |name: &str| {
        settings.scenarios.is_empty() || settings.scenarios.iter().any(|start| name.starts_with(start.as_str()))
    };
    for scenario in scenarios::all() {
        if wanted(scenario.name()) {
            document.rows.push(paired(settings, scenario.as_ref()));
        }
    }
    standing::measure(settings, &wanted, &mut document);
    document
}

fn paired(settings: &Settings, scenario: &dyn scenarios::Scenario) -> Row {
    eprintln!("… {}: starting", scenario.name());
    let ottavo = Subject::Ottavo(settings.ottavo.clone());
    let ours = scenario.start(&ottavo).expect("every scenario is Ottavo's");
    let theirs = settings.daprd.clone().and_then(|path| scenario.start(&Subject::Daprd(path)));
    let limit = scenario.start(&Subject::Control);
    for running in [Some(&ours), theirs.as_ref(), limit.as_ref()].into_iter().flatten() {
        (running.drive)(settings.block);
    }
    let (mut our_blocks, mut their_blocks, mut controls) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..settings.pairs {
        // ours, theirs, theirs, ours
        for first_ours in [pair % 2 == 0, pair % 2 != 0] {
            match (&theirs, first_ours) {
                (_, true) => our_blocks.push(block(settings, &ours)),
                (Some(theirs), false) => their_blocks.push(block(settings, theirs)),
                (None, false) => {}
            }
        }
        if let Some(limit) = &limit
            && pair % 4 == 0
        {
            controls.push((pair as usize, block(settings, limit)));
        }
        eprintln!(
            "… {}: pair {}/{}: {:.1} us{}",
            scenario.name(),
            pair + 1,
            settings.pairs,
            our_blocks.last().map_or(0.0, |block| block.cpu / 1e3),
            their_blocks.last().map_or(String::new(), |block| format!(" beside {:.1} us", block.cpu / 1e3))
        );
    }
    let control_median = median(&controls.iter().map(|(_, block)| block.cpu).collect::<Vec<_>>());
    let bad = |pair: usize| {
        controls
            .iter()
            .rev()
            .find(|(at, _)| *at <= pair)
            .is_some_and(|(_, block)| block.cpu > BAD_MINUTE * control_median)
    };
    let kept: Vec<usize> = (0..our_blocks.len()).filter(|pair| !bad(*pair)).collect();
    let ratios: Vec<f64> = kept
        .iter()
        .filter_map(|pair| Some(our_blocks[*pair].cpu / their_blocks.get(*pair)?.cpu))
        .filter(|ratio| ratio.is_finite())
        .collect();
    let to_control: Vec<f64> = if control_median > 0.0 {
        kept.iter().map(|pair| our_blocks[*pair].cpu / control_median).collect()
    } else {
        Vec::new()
    };
    let cpu = |blocks: &[Block]| median(&blocks.iter().map(|block| block.cpu / 1e3).collect::<Vec<_>>());
    let rate = |blocks: &[Block]| {
        median(&blocks.iter().map(|b| b.counted.requests as f64 / b.counted.elapsed.as_secs_f64()).collect::<Vec<_>>())
    };
    let errors = |blocks: &[Block]| blocks.iter().map(|block| block.counted.errors).sum::<u64>();
    let first_error = our_blocks.iter().chain(&their_blocks).find_map(|block| block.counted.first_error.clone());
    let percentile = |blocks: &[Block], percent: f64| {
        median(&blocks.iter().map(|b| b.counted.latencies.value_at_percentile(percent) as f64).collect::<Vec<_>>())
    };
    Row {
        name: scenario.name().to_owned(),
        unit: scenario.unit().to_owned(),
        goal: scenario.goal(),
        goal_to_control: scenario.goal_to_control(),
        ratio: geometric_mean(&ratios),
        to_control: geometric_mean(&to_control),
        ours: cpu(&our_blocks),
        theirs: theirs.is_some().then(|| cpu(&their_blocks)),
        control: limit.is_some().then_some(control_median / 1e3),
        details: json!({
            "dropped_pairs": our_blocks.len() - kept.len(),
            "requests_per_second": { "ottavo": rate(&our_blocks), "daprd": rate(&their_blocks) },
            "p50_us": { "ottavo": percentile(&our_blocks, 50.0), "daprd": percentile(&their_blocks, 50.0) },
            "p99_us": { "ottavo": percentile(&our_blocks, 99.0), "daprd": percentile(&their_blocks, 99.0) },
            "errors": { "ottavo": errors(&our_blocks), "daprd": errors(&their_blocks) },
            "first_error": first_error,
            "cpu_us": {
                "ottavo": our_blocks.iter().map(|block| block.cpu / 1e3).collect::<Vec<_>>(),
                "daprd": their_blocks.iter().map(|block| block.cpu / 1e3).collect::<Vec<_>>(),
                "control": controls.iter().map(|(_, block)| block.cpu / 1e3).collect::<Vec<_>>(),
            },
        }),
    }
}

fn block(settings: &Settings, running: &Running) -> Block {
    let before: Vec<Duration> = running.ids.iter().map(|id| cpu_of(*id)).collect();
    let begun = Instant::now();
    let mut counted = (running.drive)(settings.block);
    counted.elapsed = begun.elapsed();
    let spent: Duration = running.ids.iter().zip(before).map(|(id, before)| cpu_of(*id).saturating_sub(before)).sum();
    Block { cpu: spent.as_nanos() as f64 / counted.requests.max(1) as f64, counted }
}
