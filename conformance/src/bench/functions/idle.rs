//! F4: ten thousand functions that nobody calls.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::{STORE, Served, machine};
use crate::bench::Settings;
use crate::bench::closed_loop::Work;
use crate::bench::open_loop;
use crate::bench::report::Function;
use crate::bench::statistics::{geometric_mean, median};
use crate::bench::subject::Subject;
use crate::guests;

pub const NAME: &str = "F4 10,000 idle functions";

const FUNCTIONS: usize = 10_000;
/// Manifests of one file.
const FILE: usize = 1000;
/// Different modules among them.
const MODULES: usize = 100;
/// Reads of state a second.
const RATE: f64 = 1000.0;
/// How long such a start may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long nothing happens before memory is read.
const QUIET: Duration = Duration::from_secs(5);

/// Start, memory, and the latency of other traffic beside a sidecar without functions.
pub fn measure(settings: &Settings) -> Vec<Function> {
    eprintln!("… {NAME}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sidecar = |id: &str| Subject::Ottavo(settings.ottavo.clone()).sidecar(id).expect("a sidecar").resource(STORE);
    let without = sidecar("idle-without").start();
    let modules: Vec<_> = (0..MODULES)
        .map(|number| {
            let path = folder.path().join(format!("{number}.wasm"));
            guests::replace(&path, &guests::on_body(&format!("(call $say '{number} ') (call $show (call $body))")));
            path
        })
        .collect();
    let manifest = |number: usize| {
        let spec = format!("  triggers: [{{http: {{path: /f{number}}}}}]\n");
        guests::manifest(&format!("f{number}"), &modules[number * MODULES / FUNCTIONS], &spec)
    };
    let numbers: Vec<usize> = (0..FUNCTIONS).collect();
    let files = numbers.chunks(FILE).map(|file| file.iter().map(|number| manifest(*number)).collect::<Vec<_>>());
    let builder = files.fold(sidecar("idle").patience(PATIENCE), |builder, file| builder.resource(file.join("---\n")));
    let begun = Instant::now();
    let served = Served::start(builder);
    let start = begun.elapsed().as_secs_f64();
    std::thread::sleep(QUIET);
    let memory = machine::resident(served.sidecar.id());
    let ready = served.functions().iter().filter(|function| function["status"] == "ready").count();
    let first = Instant::now();
    let body = served.get(served.port, "/f9999");
    let first = first.elapsed().as_secs_f64() * 1e3;
    let works = ready == FUNCTIONS && body.is_empty();
    [&without, &served.sidecar].into_iter().for_each(super::save);
    let read = Work::http1(Method::GET, "/v1.0/state/store/key", Bytes::new());
    let run = |port: u16| {
        let counted = open_loop::run(&read, port, RATE, settings.block);
        (counted.latencies.value_at_percentile(99.0) as f64 / 1e3, counted.errors + counted.unbegun)
    };
    let (mut few, mut many, mut errors) = (Vec::new(), Vec::new(), 0);
    for port in [without.http, served.sidecar.http] {
        run(port);
    }
    for pair in 0..settings.pairs {
        for is_few in [pair % 2 == 0, pair % 2 != 0] {
            let (p99, failed) = run(if is_few { without.http } else { served.sidecar.http });
            errors += failed;
            if is_few { &mut few } else { &mut many }.push(p99);
        }
    }
    let ratios: Vec<f64> = many.iter().zip(&few).map(|(many, few)| many / few).collect();
    let row = |name: &str, unit: &str, ours: f64, goal: f64, beside: String| Function {
        name: format!("{NAME}, {name}"),
        unit: unit.to_owned(),
        ours,
        goal: Some(goal),
        beside,
        details: json!({ "ready": ready, "p99_ms": { "without": few, "with": many }, "errors": errors }),
    };
    let ready = format!("{ready} are ready{}", if works { "" } else { ": not all, or one does not answer" });
    let p99 = format!("p99 {:.2} ms without, {:.2} ms with; {errors} reads failed", median(&few), median(&many));
    vec![
        row(
            "start",
            "s",
            start,
            10.0,
            format!("{MODULES} different modules; {ready}; the first call took {first:.1} ms"),
        ),
        row("memory (VmRSS)", "MB", memory, 1024.0, format!("{:.1} KB each", memory * 1024.0 / FUNCTIONS as f64)),
        row("p99 of other traffic", "of that without", geometric_mean(&ratios).map_or(f64::NAN, |r| r.mean), 1.2, p99),
    ]
}
