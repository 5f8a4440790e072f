//! F3: other traffic beside functions that loop, take memory, take the stack, trap in each callback, or wait for a host
//! that does not answer. Nothing of them may stay afterwards.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::json;

use super::{STORE, Served};
use crate::bench::Settings;
use crate::bench::closed_loop::{self, Work};
use crate::bench::generator::Counted;
use crate::bench::open_loop;
use crate::bench::report::Function;
use crate::bench::statistics::{geometric_mean, median};
use crate::bench::subject::Subject;
use crate::guests::{CALLBACKS, callback, function, module, on_head, relay};

pub const NAME: &str = "F3 p99 of other traffic beside functions that fail";

/// Reads of state a second.
const RATE: f64 = 500.0;
/// Calls a second of each function that fails by itself; those that loop are always at it.
const FAILING: f64 = 20.0;
/// Calls at a time of the function that loops.
const LOOPS: usize = 4;
/// How long everything may take to be as before.
const PATIENCE: Duration = Duration::from_secs(30);
/// As with slow readers: twice.
const GOAL: f64 = 2.0;

/// Measures alone, beside, beside, alone.
pub fn measure(settings: &Settings) -> Function {
    eprintln!("… {NAME}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // It takes connections, which nobody answers.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = silent.local_addr().expect("a bound listener").port();
    let names = failing(folder.path(), port);
    let builder = Subject::Ottavo(settings.ottavo.clone()).sidecar("beside").expect("a sidecar");
    let builder = names.iter().fold(builder.resource(STORE), |builder, (_, manifest)| builder.resource(manifest));
    let served = Served::start(builder);
    let read = Work::http1(Method::GET, "/v1.0/state/store/key", Bytes::new());
    super::save(&served.sidecar);
    let alone = || open_loop::run(&read, served.sidecar.http, RATE, settings.block);
    let beside = || {
        std::thread::scope(|scope| {
            let failing: Vec<_> =
                names.iter().map(|(name, _)| scope.spawn(|| fail(served.port, name, settings.block))).collect();
            let counted = alone();
            let failed: u64 = failing.into_iter().map(|one| one.join().map_or(0, |counted| counted.errors)).sum();
            (counted, failed)
        })
    };
    alone();
    let (mut quiet, mut loud, mut failed) = (Vec::new(), Vec::new(), 0);
    for pair in 0..settings.pairs {
        for is_quiet in [pair % 2 == 0, pair % 2 != 0] {
            if is_quiet {
                quiet.push(alone());
            } else {
                let (counted, failures) = beside();
                loud.push(counted);
                failed += failures;
            }
        }
        let last = |all: &[Counted]| all.last().map_or(0.0, p99);
        eprintln!("… {NAME}: pair {} of {}: {:.2} and {:.2} ms", pair + 1, settings.pairs, last(&quiet), last(&loud));
    }
    let left = settled(&served);
    let ratios: Vec<f64> = loud.iter().zip(&quiet).map(|(loud, quiet)| p99(loud) / p99(quiet)).collect();
    let each = |all: &[Counted]| all.iter().map(p99).collect::<Vec<_>>();
    let errors: u64 = quiet.iter().chain(&loud).map(|counted| counted.errors + counted.unbegun).sum();
    let after = if left.is_empty() { "afterwards nothing of them is left".to_owned() } else { left };
    Function {
        name: NAME.to_owned(),
        unit: "of the p99 alone".to_owned(),
        ours: geometric_mean(&ratios).map_or(f64::NAN, |ratio| ratio.mean),
        goal: Some(GOAL),
        beside: format!(
            "p99 {:.2} ms alone, {:.2} ms beside {failed} calls that failed; {errors} reads failed; {after}",
            median(&each(&quiet)),
            median(&each(&loud))
        ),
        details: json!({ "alone_ms": each(&quiet), "beside_ms": each(&loud), "failed": failed, "errors": errors }),
    }
}

/// Milliseconds.
fn p99(counted: &Counted) -> f64 {
    counted.latencies.value_at_percentile(99.0) as f64 / 1e3
}

/// Functions that fail, each in its way: name and manifest.
fn failing(folder: &Path, silent: u16) -> Vec<(String, String)> {
    let mut all = vec![
        ("loop".to_owned(), on_head("(loop $again (br $again))")),
        ("memory".to_owned(), on_head(MEMORY)),
        ("stack".to_owned(), module(STACK)),
        ("slow".to_owned(), relay(&format!("http://127.0.0.1:{silent}"))),
    ];
    // Trailers and answers of calls do not come here.
    let traps = CALLBACKS.iter().map(|(name, ..)| *name);
    let traps = traps.filter(|name| !matches!(*name, "proxy_on_request_trailers" | "proxy_on_http_call_response"));
    all.extend(traps.map(|name| {
        let answer = callback("proxy_on_request_headers", "(call $say 'text')");
        let trap = callback(name, "unreachable");
        let code = if name == "proxy_on_request_headers" { trap } else { answer + &trap };
        (name.replace('_', "-"), module(&code))
    }));
    let manifest = |(name, bytes): (String, Vec<u8>)| {
        let spec = format!(
            "  triggers: [{{http: {{path: /{name}}}}}]\n  limits: {{time: 100ms, timeout: 300ms, memory: 16Mi}}\n  \
             grants: {{hosts: ['http://127.0.0.1:{silent}']}}\n"
        );
        let manifest = function(folder, &name, &bytes, &spec);
        (name, manifest)
    };
    all.into_iter().map(manifest).collect()
}

/// Takes memory and writes into each page until there is no more.
const MEMORY: &str = "(loop $more
    (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then unreachable))
    (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 1))
    (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4096)) (i32.const 1))
    (br $more))";

const STACK: &str = r#"(func $down (param i64) (result i64)
        (i64.add (call $down (i64.add (local.get 0) (i64.const 1))) (i64.const 1)))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $down (i64.const 0))) (i32.const 0))"#;

/// Calls a function for a while; everything it answers is an error.
fn fail(port: u16, name: &str, time: Duration) -> Counted {
    let (method, body) = if name == "proxy-on-request-body" { (Method::POST, "x") } else { (Method::GET, "") };
    let work = Work { connections: LOOPS, ..Work::http1(method, format!("/{name}"), body.into()) };
    if name == "loop" { closed_loop::run(&work, port, time) } else { open_loop::run(&work, port, FAILING, time) }
}

/// What is still there of calls and guests when it has had time to go; empty: nothing.
fn settled(served: &Served) -> String {
    let begun = Instant::now();
    loop {
        let functions = served.functions();
        let left: Vec<String> = functions
            .iter()
            .filter(|one| one["underWay"] != 0 || one["guests"] != 0)
            .map(|one| format!("{}: {} calls and {} guests are left", one["name"], one["underWay"], one["guests"]))
            .collect();
        if left.is_empty() || begun.elapsed() > PATIENCE {
            return left.join("; ");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
