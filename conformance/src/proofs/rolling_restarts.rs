//! Two replicas of an application; their sidecars are restarted in turn while calls and messages go on. Nobody may
//! notice: no call fails, none takes long, no message is lost. A crash may cost the calls that it met, and no other.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use tokio::runtime::Runtime;

use super::Names;
use super::common::{Fleet, millis, progress, publish, unique, wait_for};
use crate::app::{App, Events, Settings as AppSettings};
use crate::load::{Bound, Call, Client, OpenLoop, Outcome, Redis, Report, own_cpu};
use crate::target::Sidecar;

/// The sizes of this proof; the default is the full one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program under test; Ottavo's own when `None`.
    pub sidecar: Option<PathBuf>,
    /// How the replicas are found.
    pub names: Names,
    /// Kill (`SIGKILL`) in place of asking to end (`SIGTERM`).
    pub kill: bool,
    /// How often a sidecar is restarted, one replica after the other.
    pub restarts: u32,
    /// Between two restarts.
    pub pause: Duration,
    /// Without restarts, in front.
    pub quiet: Duration,
    /// Calls a second.
    pub calls: u32,
    /// Messages a second.
    pub messages: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sidecar: None,
            names: Names::Registry,
            kill: false,
            restarts: 20,
            pause: Duration::from_millis(700),
            quiet: Duration::from_secs(20),
            calls: 400,
            messages: 400,
        }
    }
}

struct Replica {
    sidecar: Sidecar,
    calls: Arc<AtomicU64>,
    _app: App,
}

/// What was done to a sidecar, and when.
struct Restart {
    from: Instant,
    /// When its process was gone.
    gone: Instant,
    took: Duration,
    in_flight: u64,
}

/// Runs the proof.
///
/// # Errors
/// Nothing to run it on: no runtime, no ports.
///
/// # Panics
///
/// When a sidecar or the Redis does not start or end.
pub fn run(settings: &Settings) -> io::Result<Report> {
    let runtime = Runtime::new()?;
    let redis = Redis::start();
    let fleet = Fleet::new(settings.sidecar.as_deref(), settings.names);
    let component = redis.resource("pubsub.redis", "bus", &[("processingTimeout", "3s"), ("redeliverInterval", "1s")]);
    let app_id = unique("callee");
    let events = Arc::new(Events::default());
    let mut replicas = Vec::new();
    for _ in 0..2 {
        let calls = Arc::new(AtomicU64::new(0));
        let subscriptions = vec![("bus".to_owned(), "orders".to_owned())];
        let app_settings = AppSettings {
            counted: None,
            subscriptions,
            events: events.clone(),
            calls: calls.clone(),
            event_work: Duration::from_millis(5),
        };
        let app = App::start(runtime.handle(), app_settings)?;
        let sidecar = fleet.sidecar(&app_id).resource(component.clone()).app(app.port, "http").start();
        replicas.push(Replica { sidecar, calls, _app: app });
    }
    let caller = fleet.sidecar(&unique("caller")).resource(component).start();
    let client = Client::default();
    let load = Load {
        call: format!("{}/v1.0/invoke/{app_id}/method/echo?delay=5", caller.url()),
        publish: format!("{}/v1.0/publish/bus/orders", caller.url()),
        client: client.clone(),
    };
    // Everybody has found everybody before anything is measured.
    let warm = wait_for(Duration::from_secs(30), || {
        let called = runtime.block_on(client.call(Method::POST, &load.call, "warm")).is_ok();
        called && replicas.iter().all(|replica| replica.calls.load(Ordering::Relaxed) > 0)
    });
    if !warm {
        progress("not every replica was reached before the run");
    }
    let cpu = own_cpu();
    let started = Instant::now();
    progress(&format!("{:?} without restarts", settings.quiet));
    let quiet = load.start(&runtime, settings, 0);
    std::thread::sleep(settings.quiet);
    let quiet = quiet.stop(&runtime);
    let counts: Vec<u64> = replicas.iter().map(|replica| replica.calls.load(Ordering::Relaxed)).collect();
    let running = load.start(&runtime, settings, quiet.published.total() as u64);
    let mut restarts = Vec::new();
    for number in 0..settings.restarts {
        std::thread::sleep(settings.pause);
        let sidecar = &mut replicas[number as usize % 2].sidecar;
        let in_flight = running.calls.in_flight();
        let from = Instant::now();
        if settings.kill {
            sidecar.kill();
        } else {
            sidecar.stop();
        }
        let gone = Instant::now();
        sidecar.run();
        restarts.push(Restart { from, gone, took: from.elapsed(), in_flight });
        progress(&format!("restart {} took {} (its end {})", number + 1, millis(from.elapsed()), millis(gone - from)));
    }
    std::thread::sleep(settings.pause);
    let during = running.stop(&runtime);
    let shares = replicas.iter().zip(counts).map(|(one, before)| one.calls.load(Ordering::Relaxed) - before).collect();
    let published: Vec<u64> = [&quiet, &during].into_iter().flat_map(|load| load.published.answered.clone()).collect();
    let all_came = wait_for(Duration::from_secs(40), || events.missing(published.iter().copied()).is_empty());
    let missing = if all_came { Vec::new() } else { events.missing(published.iter().copied()) };
    let busy = (own_cpu() - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    let mut report = judge(settings, &quiet, &during, &restarts, shares);
    report.bounds.push(Bound::none(format!("messages lost, of {}", published.len()), missing.len()));
    report.notes.push(format!("messages delivered again: {}", events.repeated()));
    report.notes.push(format!("generator, client and applications used {:.0} % of one processor", busy * 100.0));
    Ok(report)
}

/// What is sent.
struct Load {
    call: String,
    publish: String,
    client: Client,
}

/// A phase's generators.
struct Running {
    calls: OpenLoop,
    publishing: OpenLoop,
    first: u64,
}

/// A phase's outcome.
struct Done {
    calls: Outcome,
    /// With numbers of all phases.
    published: Outcome,
}

impl Load {
    /// `first`: the number of the first message.
    fn start(&self, runtime: &Runtime, settings: &Settings, first: u64) -> Running {
        let (client, url) = (self.client.clone(), self.call.clone());
        let calls = OpenLoop::start(runtime.handle(), settings.calls, move |number| {
            let (client, url) = (client.clone(), url.clone());
            async move {
                let sent = Bytes::from(format!("{number:0>1024}"));
                let answer = client.call(Method::POST, &url, sent.clone()).await?;
                if answer == sent { Ok(()) } else { Err("another call's answer".to_owned()) }
            }
        });
        let (client, url) = (self.client.clone(), self.publish.clone());
        let publishing = OpenLoop::start(runtime.handle(), settings.messages, move |number| {
            let (client, url) = (client.clone(), url.clone());
            async move { publish(&client, &url, first + number).await }
        });
        Running { calls, publishing, first }
    }
}

impl Running {
    fn stop(self, runtime: &Runtime) -> Done {
        let calls = self.calls.stop(runtime.handle());
        let mut published = self.publishing.stop(runtime.handle());
        published.answered.iter_mut().for_each(|number| *number += self.first);
        Done { calls, published }
    }
}

fn judge(settings: &Settings, quiet: &Done, during: &Done, restarts: &[Restart], shares: Vec<u64>) -> Report {
    let how = if settings.kill { "killed" } else { "restarted" };
    let title =
        format!("rolling-restarts ({}, {how})", if settings.names == Names::Mdns { "mDNS" } else { "registry" });
    let mut report =
        Report::new(&title, &["phase", "calls", "failed", "p50", "p99", "slowest", "published", "not accepted"]);
    for (phase, load) in [("quiet".to_owned(), quiet), (format!("{} {how}", restarts.len()), during)] {
        report.row([
            phase,
            load.calls.total().to_string(),
            load.calls.failures.len().to_string(),
            millis(load.calls.percentile(50.0)),
            millis(load.calls.percentile(99.0)),
            millis(load.calls.slowest()),
            load.published.total().to_string(),
            load.published.failures.len().to_string(),
        ]);
    }
    report.bounds.push(Bound::none("calls failed without restarts", quiet.calls.failures.len()));
    let is_met = |call: &Call| {
        // Begun before the process was gone, and not ended before it was killed.
        restarts.iter().any(|restart| call.intended <= restart.gone && call.ended >= restart.from)
    };
    if settings.kill {
        let others = during.calls.failures.iter().filter(|call| !is_met(call)).count();
        report.bounds.push(Bound::none("calls failed that were not in flight at a kill", others));
        let in_flight: u64 = restarts.iter().map(|restart| restart.in_flight).sum();
        let failed = during.calls.failures.len() as u64;
        report.bounds.push(Bound::at_most("calls failed of those in flight at the kills", failed, in_flight, "calls"));
    } else {
        report.bounds.push(Bound::none("calls failed during restarts", during.calls.failures.len()));
        let most = quiet.calls.slowest() * 2 + Duration::from_millis(50);
        report.bounds.push(Bound {
            what: "the slowest call during restarts".into(),
            limit: format!("at most {}, twice the slowest without plus 50 ms", millis(most)),
            measured: millis(during.calls.slowest()),
            held: during.calls.slowest() <= most,
        });
    }
    let refused = quiet.published.failures.len() + during.published.failures.len();
    report.bounds.push(Bound::none("messages that were not accepted", refused));
    let least = shares.iter().min().copied().unwrap_or(0);
    let part = during.calls.total() as u64 / 10;
    report.bounds.push(Bound {
        what: "calls that the replica with fewer has served".into(),
        limit: format!("at least {part}, a tenth"),
        measured: least.to_string(),
        held: least >= part,
    });
    let slowest = restarts.iter().map(|restart| restart.took).max().unwrap_or_default();
    report.notes.push(format!("the slowest restart took {}", millis(slowest)));
    for text in during.calls.first_failures().into_iter().chain(during.published.first_failures()) {
        report.notes.push(format!("failed: {text}"));
    }
    report
}
