//! What two sidecars add to the latency of a call, on a fixed schedule: through them minus direct, in the same pair.
//! Reported, not gated: on a machine with neighbours the tail says more of them than of a sidecar.

use super::block::{self, Block};
use super::control::{Control, Kind};
use super::generator::{Counted, Work};
use super::pair::{Pair, Traffic};
use super::progress::Progress;
use super::report::{Latency, Percentiles};
use super::scenarios::invoke;
use super::statistics::median;
use super::subject::Subject;
use super::{Settings, closed_loop, open_loop};

/// The name, as in the goals.
pub const NAME: &str = "P1 HTTP invoke, added latency";
/// The rate at which upstream measures, a second.
const RATE: f64 = 1000.0;

/// A subject with its blocks.
struct Asked {
    name: &'static str,
    work: Work,
    port: u16,
    ids: Vec<u32>,
    blocks: Vec<Block>,
}

/// How many blocks it takes, for the progress.
pub fn blocks(settings: &Settings) -> u64 {
    let rates = if settings.daprd.is_some() { 2 } else { 1 };
    let each = if settings.daprd.is_some() { 4 } else { 3 };
    u64::from(settings.pairs) * each * rates + each
}

/// Measures, with 1000 calls a second and with half of what daprd can do.
pub fn measure(settings: &Settings, progress: &mut Progress) -> Vec<Latency> {
    progress.say(&format!("{NAME}: starting"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = Control::start(Kind::Respond, 0, &folder.path().join("app")).expect("this program starts again");
    let subjects = [Subject::Ottavo(settings.ottavo.clone())].into_iter();
    let subjects = subjects.chain(settings.daprd.clone().map(Subject::Daprd)).chain([Subject::Control]);
    let pairs: Vec<_> = subjects.map(|subject| (Pair::start(&subject, Traffic::Http), subject)).collect();
    let through = pairs.iter().map(|(pair, subject)| {
        let (work, ids) = (invoke::http(subject), pair.ids.clone());
        Asked { name: subject.name(), work, port: pair.port, ids, blocks: Vec::new() }
    });
    let direct = Asked {
        name: "direct",
        work: invoke::http(&Subject::Control),
        port: app.port,
        ids: vec![app.id()],
        blocks: Vec::new(),
    };
    let mut all: Vec<Asked> = std::iter::once(direct).chain(through).collect();
    // As fast as it goes, to warm up; and what daprd can do.
    let mut rates = vec![RATE];
    for asked in &all {
        let counted = closed_loop::run(&asked.work, asked.port, settings.block);
        progress.done();
        if asked.name == "daprd" {
            rates.push((counted.rate() / 2.0).round());
        }
    }
    rates.into_iter().map(|rate| at(rate, settings, &mut all, progress)).collect()
}

fn at(rate: f64, settings: &Settings, all: &mut [Asked], progress: &mut Progress) -> Latency {
    for pair in 0..settings.pairs {
        // Each is first and last as often.
        let mut order: Vec<usize> = (0..all.len()).collect();
        if pair % 2 != 0 {
            order.reverse();
        }
        for place in order {
            let asked = &mut all[place];
            let drive = || open_loop::run(&asked.work, asked.port, rate, settings.block);
            asked.blocks.push(block::measured(&asked.ids, drive));
            progress.done();
        }
        progress.say(&format!("{NAME} at {rate} a second: pair {} of {}", pair + 1, settings.pairs));
    }
    let blocks: Vec<(&str, Vec<Block>)> = all.iter_mut().map(|a| (a.name, std::mem::take(&mut a.blocks))).collect();
    let direct = &blocks[0].1;
    let of = |name: &str| blocks.iter().find(|(known, _)| *known == name).map(|(_, blocks)| blocks);
    let problems = blocks.iter().filter_map(|(name, blocks)| problem(name, blocks)).collect();
    Latency {
        name: NAME.to_owned(),
        rate,
        direct: Percentiles(PERCENTS.map(|percent| median_of(direct, |block| value(block, percent)))),
        ours: of("ottavo").map(|blocks| added(blocks, direct)).unwrap_or_default(),
        theirs: of("daprd").map(|blocks| added(blocks, direct)),
        control: of("control").map(|blocks| added(blocks, direct)).unwrap_or_default(),
        cpu: blocks.iter().map(|(name, blocks)| ((*name).to_owned(), median_of(blocks, |b| b.cpu / 1e3))).collect(),
        problems,
    }
}

const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

fn value(block: &Block, percent: f64) -> f64 {
    block.counted.latencies.value_at_percentile(percent) as f64
}

fn median_of(blocks: &[Block], value: impl Fn(&Block) -> f64) -> f64 {
    median(&blocks.iter().map(value).collect::<Vec<_>>())
}

/// The median of the pairs' differences.
fn added(through: &[Block], direct: &[Block]) -> Percentiles {
    Percentiles(PERCENTS.map(|percent| {
        let differences = through.iter().zip(direct).map(|(t, d)| value(t, percent) - value(d, percent));
        median(&differences.collect::<Vec<_>>())
    }))
}

/// What makes the numbers doubtful.
fn problem(name: &str, blocks: &[Block]) -> Option<String> {
    let sum = |value: fn(&Counted) -> u64| blocks.iter().map(|block| value(&block.counted)).sum::<u64>();
    let (errors, unbegun) = (sum(|c| c.errors), sum(|c| c.unbegun));
    let first = blocks.iter().find_map(|block| block.counted.first_error.clone()).unwrap_or_default();
    (errors + unbegun > 0).then(|| format!("{name}: {errors} errors {first}, {unbegun} calls never begun"))
}
