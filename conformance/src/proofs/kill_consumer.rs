//! A consumer's sidecar is killed again and again while messages are published: every message comes to the
//! application at least once, and none counts as done before the application has answered it.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::common::{Fleet, millis, progress, publish, unique, wait_for};
use super::{Broker, Names};
use crate::app::{App, Events, Settings as AppSettings};
use crate::load::{Bound, Client, OpenLoop, Redis, Report, own_cpu};

/// The sizes of this proof; the default is the full one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program under test; Ottavo's own when `None`.
    pub sidecar: Option<PathBuf>,
    /// Where the messages are kept.
    pub broker: Broker,
    /// Messages a second.
    pub messages: u32,
    /// How long is published.
    pub duration: Duration,
    /// How often the consumer's sidecar is killed within that time.
    pub kills: u32,
    /// How long the application works on a message.
    pub work: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sidecar: None,
            broker: Broker::Redis,
            messages: 500,
            duration: Duration::from_secs(20),
            kills: 8,
            work: Duration::from_millis(10),
        }
    }
}

const TOPIC: &str = "orders";

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
    let fleet = Fleet::new(settings.sidecar.as_deref(), Names::Registry);
    let store = Store::start(settings.broker)?;
    let consumer_id = unique("consumer");
    let events = Arc::new(Events::default());
    let app_settings = AppSettings {
        subscriptions: vec![("bus".to_owned(), TOPIC.to_owned())],
        event_work: settings.work,
        events: events.clone(),
        ..AppSettings::default()
    };
    let app = App::start(runtime.handle(), app_settings)?;
    let component = store.component();
    let mut consumer = fleet.sidecar(&consumer_id).resource(component.clone()).app(app.port, "http").start();
    let publisher = fleet.sidecar(&unique("publisher")).resource(component).start();
    let url = format!("{}/v1.0/publish/bus/{TOPIC}", publisher.url());
    let client = Client::default();
    let (cpu, started) = (own_cpu(), Instant::now());
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let accepting = accepted.clone();
    let publishing = OpenLoop::start(runtime.handle(), settings.messages, move |number| {
        let (client, url, accepted) = (client.clone(), url.clone(), accepting.clone());
        async move {
            publish(&client, &url, number).await?;
            accepted.lock().unwrap_or_else(PoisonError::into_inner).push(number);
            Ok(())
        }
    });
    let accepted = || accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut report = Report::new(
        &format!("kill-consumer ({})", store.name()),
        &["kill", "at", "received", "acknowledged", "acknowledged unanswered", "down for"],
    );
    let mut unanswered = 0;
    let pause = settings.duration / (settings.kills + 1);
    for number in 1..=settings.kills {
        std::thread::sleep((pause * number).saturating_sub(started.elapsed()));
        let at = started.elapsed();
        let killed = Instant::now();
        consumer.kill();
        // Nobody else acknowledges: what is done now was done by the one that is dead.
        let done = store.acknowledged(&consumer_id, &accepted());
        let early = done.iter().filter(|number| !events.is_answered(**number)).count();
        unanswered += early;
        consumer.run();
        let cells = [events.received(), done.len(), early].map(|count| count.to_string());
        let [received, done, early] = cells;
        report.row([
            number.to_string(),
            format!("{:.1} s", at.as_secs_f64()),
            received,
            done,
            early,
            millis(killed.elapsed()),
        ]);
        progress(&format!("kill {number} of {}", settings.kills));
    }
    std::thread::sleep(settings.duration.saturating_sub(started.elapsed()));
    let published = publishing.stop(runtime.handle());
    let busy = (own_cpu() - cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    progress("waiting for what is left");
    let waited = Instant::now();
    let all_came = wait_for(Duration::from_secs(60), || {
        events.missing(published.answered.iter().copied()).is_empty() && store.left(&consumer_id) == 0
    });
    let missing = if all_came { Vec::new() } else { events.missing(published.answered.iter().copied()) };
    let done = store.acknowledged(&consumer_id, &accepted());
    unanswered += done.iter().filter(|number| !events.is_answered(**number)).count();
    report.bounds.push(Bound::none(format!("messages lost, of {}", published.answered.len()), missing.len()));
    report.bounds.push(Bound::none("messages acknowledged before the application had answered", unanswered));
    report.bounds.push(Bound::none("messages that the broker still keeps at the end", store.left(&consumer_id)));
    report.bounds.push(Bound::none("messages that were not accepted", published.failures.len()));
    let accepted_in = millis(published.percentile(99.0));
    report.notes.push(format!("published at {}/s, accepted within {accepted_in} (p99)", settings.messages));
    report.notes.push(format!("messages delivered again: {}", events.repeated()));
    report.notes.push(format!("the rest came within {} after the last was published", millis(waited.elapsed())));
    report.notes.push(format!("generator, client and application used {:.0} % of one processor", busy * 100.0));
    report.notes.extend(published.first_failures().into_iter().map(|text| format!("failed: {text}")));
    drop(consumer);
    Ok(report)
}

/// Where messages are kept, asked from outside.
enum Store {
    Redis(Redis),
    Sqlite(tempfile::TempDir),
}

impl Store {
    fn start(broker: Broker) -> io::Result<Self> {
        Ok(match broker {
            Broker::Redis => Self::Redis(Redis::start()),
            Broker::Sqlite => Self::Sqlite(tempfile::tempdir()?),
        })
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Redis(_) => "pubsub.redis",
            Self::Sqlite(_) => "pubsub.sqlite",
        }
    }

    fn component(&self) -> String {
        match self {
            Self::Redis(redis) => {
                redis.resource("pubsub.redis", "bus", &[("processingTimeout", "2s"), ("redeliverInterval", "500ms")])
            }
            Self::Sqlite(folder) => SQLITE.replace("FILE", &folder.path().join("topics.db").to_string_lossy()),
        }
    }

    /// The numbers of the messages that count as done. `accepted`: of all that the broker has accepted.
    fn acknowledged(&self, consumer: &str, accepted: &[u64]) -> Vec<u64> {
        match self {
            // Before the first read there is no group, and nothing is acknowledged.
            Self::Redis(redis) => redis.acknowledged(TOPIC, consumer).unwrap_or_default(),
            Self::Sqlite(folder) => {
                let kept: HashSet<u64> = kept(folder.path()).into_iter().collect();
                accepted.iter().copied().filter(|number| !kept.contains(number)).collect()
            }
        }
    }

    /// How many messages are not done.
    fn left(&self, consumer: &str) -> usize {
        match self {
            Self::Redis(redis) => {
                let (pending, lag) = redis.backlog(TOPIC, consumer).unwrap_or((1, 0));
                usize::try_from(pending + lag).unwrap_or(usize::MAX)
            }
            Self::Sqlite(folder) => kept(folder.path()).len(),
        }
    }
}

/// The numbers of the messages in a SQLite file, by the Debian package `sqlite3`.
fn kept(folder: &Path) -> Vec<u64> {
    let query = "SELECT json_extract(CAST(data AS TEXT), '$.data.number') FROM pubsub_messages";
    let output = Command::new("sqlite3")
        .args(["-cmd", ".timeout 10000", "-readonly"])
        .arg(folder.join("topics.db"))
        .arg(query)
        .output()
        .expect("the package sqlite3 is installed");
    assert!(output.status.success(), "sqlite3: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|line| line.parse().ok()).collect()
}

const SQLITE: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: bus
spec:
  type: pubsub.sqlite
  version: v1
  metadata:
  - name: connectionString
    value: FILE
";
