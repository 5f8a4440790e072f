//! `conformance <proof>`: shows what Ottavo promises under load, and fails when a bound is missed.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use conformance::bench;
use conformance::bench::control::{self, Kind};
use conformance::bench::functions::Call;
use conformance::bench::loadgen;
use conformance::load::Report;
use conformance::proofs::{Broker, Names, kill_consumer, rolling_restarts, same_answers, slow_readers, streams};

/// Proofs of what a sidecar promises under load.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    proof: Proof,
    /// The program under test: an Ottavo or a daprd [default: the ottavo beside this program].
    #[arg(long, global = true, value_name = "PATH")]
    sidecar: Option<PathBuf>,
    /// Writes the reports to this file, too.
    #[arg(long, global = true, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Proof {
    /// CPU, memory and start beside a real daprd and bare hyper, in one run.
    Bench(Bench),
    /// The benchmark's load generator by itself: HTTP/1.1, HTTP/2 and gRPC, in a closed or an open loop; prints JSON.
    Loadgen(loadgen::Arguments),
    /// A process of the benchmark: the limit.
    #[command(hide = true)]
    Control {
        #[arg(long)]
        kind: Kind,
        #[arg(long)]
        port: u16,
        #[arg(long)]
        to: u16,
    },
    /// Calls of guests in this process and nothing else: what is counted under valgrind.
    #[command(hide = true)]
    Calls {
        #[arg(long)]
        kind: Call,
        #[arg(long)]
        count: u32,
    },
    /// Large bodies go through two sidecars whole and are not kept in memory.
    Streams(Streams),
    /// Clients that hardly read slow nobody else down.
    SlowReaders(SlowReaders),
    /// A consumer's sidecar is killed while messages are published: none is lost.
    KillConsumer(KillConsumer),
    /// The sidecars of two replicas are restarted under calls and messages: nobody notices.
    RollingRestarts(RollingRestarts),
    /// Recorded answers of a daprd are the same before and after load on one process.
    SameAnswers(SameAnswers),
}

#[derive(Args)]
struct Bench {
    /// The real daprd [default: none, and the report says so].
    #[arg(long, value_name = "PATH")]
    daprd: Option<PathBuf>,
    /// A wasmtime of the release that Ottavo is built with, to be measured beside it [default: a recorded figure].
    #[arg(long, value_name = "PATH")]
    wasmtime: Option<PathBuf>,
    /// Only scenarios whose names begin so (P1, P4, ...); may be given several times.
    #[arg(long = "scenario", value_name = "NAME")]
    scenarios: Vec<String>,
    /// Pairs of blocks of each scenario.
    #[arg(long, default_value_t = 12)]
    pairs: u32,
    /// The length of a block, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    block: u64,
    #[command(flatten)]
    standing: bench::Lengths,
    /// Writes bench.md, bench.json and bench.svg to this folder.
    #[arg(long, value_name = "FOLDER")]
    report: Option<PathBuf>,
}

#[derive(Args)]
struct Streams {
    /// The callee's program, where it is another than the caller's: between Ottavo and daprd a call is a stream of
    /// Dapr's messages.
    #[arg(long, value_name = "PATH")]
    callee: Option<PathBuf>,
    /// The length of each body, in MiB.
    #[arg(long, default_value_t = 1024)]
    megabytes: u64,
}

#[derive(Args)]
struct SlowReaders {
    /// How many clients read slowly.
    #[arg(long, default_value_t = 256)]
    readers: usize,
    /// Ordinary calls a second beside them.
    #[arg(long, default_value_t = 400)]
    calls: u32,
    /// Each of the four phases, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

#[derive(Args)]
struct KillConsumer {
    /// The broker; without it both, one after the other (with --sidecar: Redis).
    #[arg(long)]
    broker: Option<Broker>,
    /// How often.
    #[arg(long, default_value_t = 8)]
    kills: u32,
    /// Messages a second.
    #[arg(long, default_value_t = 500)]
    messages: u32,
    /// How long is published, in seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

#[derive(Args)]
struct RollingRestarts {
    /// How the replicas are found; without it both ways, one after the other (with --sidecar: mDNS).
    #[arg(long)]
    names: Option<Names>,
    /// Kill in place of asking to end.
    #[arg(long)]
    kill: bool,
    /// How often.
    #[arg(long, default_value_t = 20)]
    restarts: u32,
    /// Calls a second.
    #[arg(long, default_value_t = 400)]
    calls: u32,
    /// Messages a second.
    #[arg(long, default_value_t = 400)]
    messages: u32,
    /// How long calls go on without restarts before, in seconds.
    #[arg(long, default_value_t = 20)]
    quiet: u64,
}

#[derive(Args)]
struct SameAnswers {
    /// Requests on each hot path.
    #[arg(long, default_value_t = 100_000)]
    requests: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let sidecar = arguments.sidecar;
    let mut reports = Vec::new();
    match arguments.proof {
        Proof::Control { kind, port, to } => {
            control::serve(kind, port, to).context("control")?;
        }
        Proof::Calls { kind, count } => {
            kind.make(count);
            return Ok(ExitCode::SUCCESS);
        }
        Proof::Loadgen(chosen) => {
            println!("{:#}", loadgen::run(&chosen).context("loadgen")?);
            return Ok(ExitCode::SUCCESS);
        }
        Proof::Bench(chosen) => {
            let document = bench::run(&bench::Settings {
                ottavo: sidecar.unwrap_or_else(conformance::target::ottavo),
                daprd: chosen.daprd,
                wasmtime: chosen.wasmtime,
                pairs: chosen.pairs,
                block: Duration::from_millis(chosen.block),
                scenarios: chosen.scenarios,
                standing: chosen.standing,
            });
            println!("{}", document.markdown());
            if let Some(folder) = &chosen.report {
                document.save(folder).with_context(|| format!("cannot write to {}", folder.display()))?;
            }
            if let Some(path) = &arguments.json {
                let text = format!("{:#}\n", document.json());
                std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        Proof::Streams(chosen) => {
            let settings = streams::Settings {
                sidecar,
                callee: chosen.callee,
                length: chosen.megabytes << 20,
                ..streams::Settings::default()
            };
            reports.push(shown(streams::run(&settings).context("streams")?));
        }
        Proof::SlowReaders(chosen) => {
            let settings = slow_readers::Settings {
                sidecar,
                readers: chosen.readers,
                calls: chosen.calls,
                phase: Duration::from_secs(chosen.seconds),
                ..slow_readers::Settings::default()
            };
            reports.push(shown(slow_readers::run(&settings).context("slow-readers")?));
        }
        Proof::KillConsumer(chosen) => {
            let all = if sidecar.is_some() { vec![Broker::Redis] } else { vec![Broker::Redis, Broker::Sqlite] };
            for broker in chosen.broker.map_or(all, |broker| vec![broker]) {
                let settings = kill_consumer::Settings {
                    sidecar: sidecar.clone(),
                    broker,
                    messages: chosen.messages,
                    duration: Duration::from_secs(chosen.seconds),
                    kills: chosen.kills,
                    ..kill_consumer::Settings::default()
                };
                reports.push(shown(kill_consumer::run(&settings).context("kill-consumer")?));
            }
        }
        Proof::SameAnswers(chosen) => {
            let settings = same_answers::Settings { sidecar, requests: chosen.requests };
            reports.push(shown(same_answers::run(&settings).context("same-answers")?));
        }
        Proof::RollingRestarts(chosen) => {
            let all = if sidecar.is_some() { vec![Names::Mdns] } else { vec![Names::Registry, Names::Mdns] };
            for names in chosen.names.map_or(all, |names| vec![names]) {
                let settings = rolling_restarts::Settings {
                    sidecar: sidecar.clone(),
                    names,
                    kill: chosen.kill,
                    restarts: chosen.restarts,
                    calls: chosen.calls,
                    messages: chosen.messages,
                    quiet: Duration::from_secs(chosen.quiet),
                    ..rolling_restarts::Settings::default()
                };
                reports.push(shown(rolling_restarts::run(&settings).context("rolling-restarts")?));
            }
        }
    }
    if let Some(path) = &arguments.json {
        let json = serde_json::Value::from(reports.iter().map(Report::json).collect::<Vec<_>>());
        std::fs::write(path, format!("{json:#}\n")).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if reports.iter().all(Report::held) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn shown(report: Report) -> Report {
    println!("{}", report.markdown());
    report
}
