//! F2 and P14: functions behind HTTP, beside what answers without them.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Served;
use super::calls::hello;
use crate::bench::Settings;
use crate::bench::block::{self, Block};
use crate::bench::closed_loop::{self, Work};
use crate::bench::control::{Control, Kind};
use crate::bench::report::Function;
use crate::bench::statistics::{geometric_mean, median};
use crate::bench::subject::{Running, Subject};
use crate::guests;
use crate::target::{Process, free_ports};

pub const ECHO: &str = "F2 HTTP call of a pooled proxy-wasm function, echo of 1 KB";
pub const FRESH: &str = "P14 wasm function over HTTP, a fresh wasi:http component for each call";

/// Microseconds of CPU a request that `wasmtime serve` 48.0.8 took with 16 connections on a machine like that of the
/// project's other figures, 22 November 2026; with one connection it took 152.
const RECORDED: f64 = 173.0;

/// Beside a bare hyper echo, the raw responder, and the sidecar's own cheapest answer.
pub fn echo(settings: &Settings) -> Function {
    let work = Work::http1(Method::POST, "/echo", Bytes::from(vec![b'x'; 1024]));
    let echo = guests::on_body("(call $show (call $body))");
    let function = served(settings, &echo, work.clone());
    let own = |served: &Served| (served.sidecar.http, Work::http1(Method::GET, "/v1.0/healthz", Bytes::new()));
    let own = running(settings, &echo, own);
    let mut all = [
        ("function", function, Vec::new()),
        ("hyper echo", control(Kind::Echo, &work), Vec::new()),
        ("raw responder", control(Kind::Respond, &work), Vec::new()),
        ("own healthz", own, Vec::new()),
    ];
    measured(ECHO, settings, &mut all);
    let [function, hyper, raw, own] = all.each_ref().map(|(_, _, blocks)| blocks.as_slice());
    let beside = format!(
        "{:.1} us; bare hyper echo {:.1} us, raw responder {:.1} us ({:.2}), the sidecar's own healthz {:.1} us ({:.2})",
        cpu(function),
        cpu(hyper),
        cpu(raw),
        ratio(function, raw),
        cpu(own),
        ratio(function, own)
    );
    Function {
        name: ECHO.to_owned(),
        unit: "of a native echo".to_owned(),
        ours: ratio(function, hyper),
        goal: Some(1.5),
        beside,
        details: details(&all),
    }
}

/// Beside `wasmtime serve`, or what it was recorded to take.
pub fn fresh(settings: &Settings) -> Function {
    let component = hello();
    let work = Work::http1(Method::GET, "/echo", Bytes::new());
    let mut all = vec![("function", served(settings, &component, work.clone()), Vec::new())];
    all.extend(settings.wasmtime.as_ref().map(|path| ("wasmtime serve", wasmtime(path, &component, work), Vec::new())));
    measured(FRESH, settings, &mut all);
    let ours = &all[0].2;
    let (ours, beside) = match all.get(1) {
        Some((_, _, theirs)) => {
            let beside = format!("{:.1} us; wasmtime serve {:.1} us in this run", cpu(ours), cpu(theirs));
            (ratio(ours, theirs), beside)
        }
        None => {
            let beside = format!("{:.1} us; wasmtime serve {RECORDED} us, recorded in another run", cpu(ours));
            (cpu(ours) / RECORDED, beside)
        }
    };
    Function {
        name: FRESH.to_owned(),
        unit: "of wasmtime serve".to_owned(),
        ours,
        goal: Some(0.35),
        beside,
        details: details(&all),
    }
}

type Measured = (&'static str, Running, Vec<Block>);

/// Warms all up, then takes them in turns, each first and last as often.
fn measured(name: &str, settings: &Settings, all: &mut [Measured]) {
    for (_, running, _) in all.iter() {
        block::measure(running, settings.block);
    }
    for pair in 0..settings.pairs {
        let mut order: Vec<usize> = (0..all.len()).collect();
        if pair % 2 != 0 {
            order.reverse();
        }
        for place in order {
            let (_, running, blocks) = &mut all[place];
            blocks.push(block::measure(running, settings.block));
        }
        let last = all[0].2.last().map_or(0.0, |block| block.cpu / 1e3);
        eprintln!("… {name}: pair {} of {}: {last:.1} us", pair + 1, settings.pairs);
    }
}

/// Microseconds a request.
fn cpu(blocks: &[Block]) -> f64 {
    median(&blocks.iter().map(|block| block.cpu / 1e3).collect::<Vec<_>>())
}

fn ratio(ours: &[Block], theirs: &[Block]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(ours, theirs)| ours.cpu / theirs.cpu).collect();
    geometric_mean(&ratios).map_or(f64::NAN, |ratio| ratio.mean)
}

fn details(all: &[Measured]) -> Value {
    let one = |(name, _, blocks): &Measured| {
        let errors: u64 = blocks.iter().map(|block| block.counted.errors).sum();
        let percentile = |percent| {
            let values = blocks.iter().map(|block| block.counted.latencies.value_at_percentile(percent) as f64);
            median(&values.collect::<Vec<_>>())
        };
        json!({
            "name": name,
            "cpu_us": blocks.iter().map(|block| block.cpu / 1e3).collect::<Vec<_>>(),
            "requests_per_second": median(&blocks.iter().map(|block| block.counted.rate()).collect::<Vec<_>>()),
            "p50_us": percentile(50.0),
            "p99_us": percentile(99.0),
            "errors": errors,
            "first_error": blocks.iter().find_map(|block| block.counted.first_error.as_ref()),
        })
    };
    all.iter().map(one).collect()
}

/// A sidecar whose function takes `/echo`.
fn served(settings: &Settings, module: &[u8], work: Work) -> Running {
    running(settings, module, |served| (served.port, work))
}

fn running(settings: &Settings, module: &[u8], work: impl FnOnce(&Served) -> (u16, Work)) -> Running {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let manifest = guests::function(folder.path(), "echo", module, "  triggers: [{http: {path: /echo}}]\n");
    let builder = Subject::Ottavo(settings.ottavo.clone()).sidecar("function").expect("a sidecar");
    let served = Served::start(builder.resource(manifest));
    let (port, work) = work(&served);
    Running {
        ids: vec![served.sidecar.id()],
        drive: Box::new(move |time| {
            let _kept = (&served, &folder);
            closed_loop::run(&work, port, time)
        }),
    }
}

fn control(kind: Kind, work: &Work) -> Running {
    let folder: TempDir = tempfile::tempdir().expect("a temporary folder");
    let control = Control::start(kind, 0, &folder.path().join("log")).expect("this program starts again");
    let work = work.clone();
    Running {
        ids: vec![control.id()],
        drive: Box::new(move |time| {
            let _kept = (&control, &folder);
            closed_loop::run(&work, control.port, time)
        }),
    }
}

/// `wasmtime serve` with a pool, a fresh instance for each request.
fn wasmtime(path: &Path, component: &[u8], work: Work) -> Running {
    let folder: TempDir = tempfile::tempdir().expect("a temporary folder");
    let module = folder.path().join("hello.wasm");
    guests::replace(&module, component);
    let [port] = free_ports();
    let mut command = Command::new(path);
    command
        .args(["serve", "-O", "pooling-allocator", "-S", "cli", "--addr", &format!("127.0.0.1:{port}")])
        .arg(&module);
    let mut process = Process::start(command, &folder.path().join("log"));
    process
        .wait_until("listening", Duration::from_secs(60), || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    Running {
        ids: vec![process.id()],
        drive: Box::new(move |time| {
            let _kept = (&process, &folder);
            closed_loop::run(&work, port, time)
        }),
    }
}
