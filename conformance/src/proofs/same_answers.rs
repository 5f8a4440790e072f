//! Speed is not bought with behaviour: recorded answers are the same before and after load on one process.
//!
//! The cases of a file are run twice against one process, once with load between them and once without. What the first
//! run leaves behind may change an answer of the second; what only the load changes is a defect.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use proto_dapr::runtime::GetStateRequest;

use crate::bench::generator::{self, Pace, Plan, Target, Work};
use crate::golden::{self, Outcome};
use crate::load::{Bound, Report};

/// How long a replay may take to come to its load.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the load of one path may take: the application behind it is no fast one.
const LONGEST: Duration = Duration::from_secs(600);

/// What is run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program under test; without it Ottavo's own.
    pub sidecar: Option<PathBuf>,
    /// Requests on each path.
    pub requests: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sidecar: None, requests: 100_000 }
    }
}

/// A file of cases, and what its set-up allows to be asked for.
struct Subject {
    file: &'static str,
    /// What is asked for first, once.
    before: Vec<Work>,
    path: &'static str,
    work: Work,
}

fn subjects() -> Vec<Subject> {
    let body = |text: String| Bytes::from(text);
    let saved = |store: &str| {
        let value = body(format!(r#"[{{"key":"load","value":"{}"}}]"#, "x".repeat(1024)));
        Work { connections: 1, ..Work::http1(Method::POST, format!("/v1.0/state/{store}"), value) }
    };
    let get = Work::http1(Method::GET, "/v1.0/state/mem/load", Bytes::new());
    let message =
        GetStateRequest { store_name: "store".to_owned(), key: "load".to_owned(), ..GetStateRequest::default() };
    let get_grpc = Work::grpc("/dapr.proto.runtime.v1.Dapr/GetState", &message);
    let invoke = Work::http1(Method::POST, "/v1.0/invoke/myapp/method/load", body("x".repeat(1024)));
    let event = body(format!(r#"{{"text":"{}"}}"#, "x".repeat(1000)));
    let publish = Work::http1(Method::POST, "/v1.0/publish/ps/t", event);
    let subject = |file, path, before, work| Subject { file, before, path, work };
    vec![
        subject("http-state-basic.yaml", "state get, HTTP", vec![saved("mem")], get),
        subject("grpc-state.yaml", "state get, gRPC", vec![saved("store")], get_grpc),
        subject("app-invoke-requests.yaml", "invoke, HTTP", Vec::new(), invoke),
        subject("app-publish.yaml", "publish to delivery, HTTP", Vec::new(), publish),
    ]
}

/// What came of one file.
struct Found {
    /// Answers that were the same both times, with load between them.
    same: usize,
    /// Cases that differ the second time without load, too: of what the first time left behind.
    by_first_run: usize,
    by_load: BTreeSet<String>,
    text: String,
}

/// Runs it, all files at a time: most of a replay is waiting.
///
/// # Errors
/// Something of this machine: no folder, no thread, no answers within the patience.
pub fn run(settings: &Settings) -> io::Result<Report> {
    let folder = tempfile::tempdir()?;
    let daprd = golden::as_daprd(&settings.sidecar.clone().unwrap_or_else(crate::target::ottavo), folder.path());
    let mut report = Report::new(
        "The same answers after load",
        &["answers", "load", "requests", "the same", "changed by the first run", "changed by load"],
    );
    let subjects = subjects();
    let outcomes: Vec<io::Result<Found>> = std::thread::scope(|scope| {
        let running: Vec<_> =
            subjects.iter().map(|subject| scope.spawn(|| twice(&daprd, subject, settings.requests))).collect();
        running.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(io::Error::other("a replay failed")))).collect()
    });
    for (subject, found) in subjects.iter().zip(outcomes) {
        let found = found?;
        report.row([
            subject.file.to_owned(),
            subject.path.to_owned(),
            settings.requests.to_string(),
            found.same.to_string(),
            found.by_first_run.to_string(),
            found.by_load.len().to_string(),
        ]);
        report.bounds.push(Bound::none(format!("{}: answers changed by load", subject.path), found.by_load.len()));
        if !found.by_load.is_empty() {
            report.notes.push(found.text);
        }
    }
    Ok(report)
}

/// What depends on time gets a second chance: an answer is changed when it always is.
fn twice(daprd: &Path, subject: &Subject, requests: u64) -> io::Result<Found> {
    let mut found = once(daprd, subject, requests)?;
    if !found.by_load.is_empty() {
        let again = once(daprd, subject, requests)?;
        found.by_load.retain(|case| again.by_load.contains(case));
    }
    eprintln!("… {}: {} requests, {} answers changed by load", subject.path, requests, found.by_load.len());
    Ok(found)
}

fn once(daprd: &Path, subject: &Subject, requests: u64) -> io::Result<Found> {
    let file = golden::folder().join("cases").join(subject.file);
    let (quiet, loaded) = std::thread::scope(|scope| {
        let quiet = scope.spawn(|| golden::replay(daprd, &file, Some("true")));
        let loaded = under_load(daprd, &file, subject, requests);
        (quiet.join().map_err(|_| io::Error::other(format!("{} was not replayed", file.display()))), loaded)
    });
    let (quiet, loaded) = (quiet?, loaded?);
    let by_load = loaded.failed.difference(&quiet.failed).cloned().collect();
    Ok(Found { same: loaded.passed, by_first_run: quiet.failed.len(), by_load, text: loaded.text })
}

/// Replays with load in between.
fn under_load(daprd: &Path, file: &Path, subject: &Subject, requests: u64) -> io::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    // The replay tells its ports in one file and waits for another.
    let (ports, done) = (folder.path().join("ports"), folder.path().join("done"));
    let (told, awaited) = (ports.display(), done.display());
    let wait = format!(
        "echo $HTTP_PORT $GRPC_PORT > {told}.new && mv {told}.new {told} && until test -e {awaited}; do sleep 0.05; done; \
         test -s {awaited}"
    );
    std::thread::scope(|scope| {
        let replay = scope.spawn(|| golden::replay(daprd, file, Some(&wait)));
        let driven = told_ports(&ports).and_then(|(http, grpc)| drive(subject, http, grpc, requests));
        // Empty: the load failed, and so does the replay.
        std::fs::write(&done, if driven.is_ok() { "good" } else { "" })?;
        let outcome = replay.join().map_err(|_| io::Error::other(format!("{} was not replayed", file.display())));
        driven.map_err(io::Error::other)?;
        outcome
    })
}

fn told_ports(path: &Path) -> Result<(u16, u16), String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut ports = text.split_whitespace().filter_map(|port| port.parse().ok());
        if let (Some(http), Some(grpc)) = (ports.next(), ports.next()) {
            return Ok((http, grpc));
        }
        if Instant::now() > deadline {
            return Err(format!("the replay did not come to its load in {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn drive(subject: &Subject, http: u16, grpc: u16, requests: u64) -> Result<(), String> {
    let counts = subject.before.iter().map(|work| (work, 1)).chain([(&subject.work, requests)]);
    for (work, count) in counts {
        let port = if work.streams > 0 { grpc } else { http };
        let plan = Plan { pace: Pace::Closed, duration: LONGEST, count: Some(count) };
        let counted = generator::run(work, &Target::port(port), &plan);
        if counted.errors > 0 || counted.requests < count {
            let why = counted.first_error.clone().unwrap_or_default();
            return Err(format!("{}: {} of {count} requests succeeded: {why}", work.path, counted.requests));
        }
    }
    Ok(())
}
