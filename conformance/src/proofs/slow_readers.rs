//! Clients that hardly read, beside ordinary calls over the same two sidecars: the ordinary ones must not wait for
//! them, and what is not read must not pile up in the sidecars.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::Names;
use super::common::{Fleet, megabytes, millis, progress, unique, wait_for};
use crate::app::{App, Settings as AppSettings};
use crate::load::{Bound, Client, Memory, OpenLoop, Outcome, Report, own_cpu};

/// The sizes of this proof; the default is the full one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program under test; Ottavo's own when `None`.
    pub sidecar: Option<PathBuf>,
    /// How many clients read slowly.
    pub readers: usize,
    /// What each of them reads in a second, in bytes.
    pub pace: usize,
    /// The length of the response that each of them wants.
    pub length: u64,
    /// Ordinary calls a second.
    pub calls: u32,
    /// Each phase's time: without slow readers, twice with them, without.
    pub phase: Duration,
    /// What each sidecar may need beyond what it had, in KiB.
    pub growth: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sidecar: None,
            readers: 256,
            pace: 1024,
            length: 64 << 20,
            calls: 400,
            phase: Duration::from_secs(10),
            growth: 32 << 10,
        }
    }
}

/// Runs the proof.
///
/// # Errors
/// Nothing to run it on: no runtime, no ports.
///
/// # Panics
///
/// When a sidecar does not start.
pub fn run(settings: &Settings) -> io::Result<Report> {
    let runtime = Runtime::new()?;
    let names = if settings.sidecar.is_some() { Names::Mdns } else { Names::Registry };
    let fleet = Fleet::new(settings.sidecar.as_deref(), names);
    let app = App::start(runtime.handle(), AppSettings::default())?;
    let app_id = unique("callee");
    let limit = ["--max-body-size", "2Gi"];
    let builder = fleet.sidecar(&app_id).app(app.port, "http").argument(limit[0]).argument(limit[1]);
    let callee = builder.start();
    let caller = fleet.sidecar(&unique("caller")).argument(limit[0]).argument(limit[1]).start();
    let (client, cpu, started) = (Client::default(), own_cpu(), Instant::now());
    let url = format!("{}/v1.0/invoke/{app_id}/method/echo", caller.url());
    // Connections, buffers and threads are there before anything is measured.
    let ordinary = || {
        let (client, url) = (client.clone(), url.clone());
        let running = OpenLoop::start(runtime.handle(), settings.calls, move |number| {
            let (client, url) = (client.clone(), url.clone());
            async move {
                let sent = Bytes::from(format!("{number:0>1024}"));
                let answer = client.call(Method::POST, &url, sent.clone()).await?;
                if answer == sent { Ok(()) } else { Err("another call's answer".to_owned()) }
            }
        });
        std::thread::sleep(settings.phase);
        running.stop(runtime.handle())
    };
    progress("warming up");
    ordinary();
    let memory = [&caller, &callee].map(|sidecar| Memory::watch(sidecar.id()));
    let mut report = Report::new(
        &format!("slow-readers ({} at {} B/s)", settings.readers, settings.pace),
        &["phase", "calls", "failed", "p50", "p99", "slowest"],
    );
    progress("without slow readers");
    let first = ordinary();
    report.row(row("without", &first));
    let target = Target {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, caller.http)),
        path: format!("/v1.0/invoke/{app_id}/method/download?bytes={}", settings.length),
        pace: settings.pace,
        read: Arc::default(),
        begun: Arc::default(),
    };
    let mut readers = JoinSet::new();
    for _ in 0..settings.readers {
        readers.spawn_on(read_slowly(target.clone()), runtime.handle());
    }
    let all = settings.readers as u64;
    let are_reading = wait_for(Duration::from_secs(30), || target.begun.load(Ordering::Relaxed) == all);
    let mut with = Outcome::default();
    let read_before = target.read.load(Ordering::Relaxed);
    for phase in ["with, first", "with, second"] {
        progress(phase);
        let outcome = ordinary();
        report.row(row(phase, &outcome));
        with.merge(outcome);
    }
    let read = target.read.load(Ordering::Relaxed) - read_before;
    let growth = memory.map(|memory| memory.growth());
    let mut broken = 0;
    while let Some(ended) = readers.try_join_next() {
        broken += 1;
        if let Ok(Err(error)) = ended {
            report.notes.push(format!("a slow reader has ended: {error}"));
        }
    }
    readers.abort_all();
    drop(readers);
    // What is cleared away behind them is no ordinary work.
    std::thread::sleep(settings.phase / 5);
    progress("without slow readers");
    let last = ordinary();
    report.row(row("without, again", &last));
    let mut without = first;
    without.merge(last);
    let failed = without.failures.len() + with.failures.len();
    report.bounds.push(Bound::none("ordinary calls failed", failed));
    let (p99, most) = (with.percentile(99.0), without.percentile(99.0) * 2);
    report.bounds.push(Bound {
        what: "p99 of ordinary calls beside slow readers".into(),
        limit: format!("at most {}, twice that without", millis(most)),
        measured: millis(p99),
        held: p99 <= most,
    });
    for (name, growth) in ["caller's", "callee's"].into_iter().zip(growth) {
        let what = format!("growth of the {name} sidecar");
        report.bounds.push(Bound::at_most(what, growth, settings.growth, "KiB"));
    }
    let unread = usize::from(!are_reading) + broken;
    report.bounds.push(Bound::none("slow readers that got no response or lost it", unread));
    // The reader's own pace is the most; half of it shows that all were served the whole time.
    let least = settings.phase.as_secs() * 2 * all * settings.pace as u64 / 2;
    report.bounds.push(Bound {
        what: "what the slow readers have read".into(),
        limit: format!("at least {}", megabytes(least >> 10)),
        measured: megabytes(read >> 10),
        held: read >= least,
    });
    let busy = (own_cpu() - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    report.notes.push(format!("generator, clients and application used {:.0} % of one processor", busy * 100.0));
    report.notes.extend(with.first_failures().into_iter().map(|text| format!("failed: {text}")));
    Ok(report)
}

fn row(phase: &str, outcome: &Outcome) -> [String; 6] {
    [
        phase.to_owned(),
        outcome.total().to_string(),
        outcome.failures.len().to_string(),
        millis(outcome.percentile(50.0)),
        millis(outcome.percentile(99.0)),
        millis(outcome.slowest()),
    ]
}

/// What slow readers ask for, and what they have got.
#[derive(Clone)]
struct Target {
    address: SocketAddr,
    path: String,
    pace: usize,
    read: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
}

/// Reads a response at its pace, until it ends. The system's buffer is kept small, so that the sidecar feels it.
async fn read_slowly(target: Target) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream: TcpStream = socket.connect(target.address).await?;
    let head = format!("GET {} HTTP/1.1\r\nhost: localhost\r\n\r\n", target.path);
    stream.write_all(head.as_bytes()).await?;
    let mut buffer = vec![0; target.pace];
    let mut is_first = true;
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if is_first {
            if !buffer.starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other(String::from_utf8_lossy(&buffer[..count]).into_owned()));
            }
            target.begun.fetch_add(1, Ordering::Relaxed);
            is_first = false;
        }
        target.read.fetch_add(count as u64, Ordering::Relaxed);
    }
}
