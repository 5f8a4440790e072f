//! What the proofs share: names, publishing, waiting.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Method;
use serde_json::json;
use tempfile::TempDir;

use crate::load::Client;
use crate::target::{Builder, Sidecar};

/// How sidecars find each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Names {
    /// Ottavo's default on one host: the registry of the user, then mDNS.
    Registry,
    /// mDNS alone: no two sidecars share a registry. Always so with daprd.
    Mdns,
}

/// Which broker is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Broker {
    /// `pubsub.redis` on a Redis server.
    Redis,
    /// `pubsub.sqlite`, Ottavo's own durable topics.
    Sqlite,
}

/// Starts the sidecars of one proof.
pub struct Fleet {
    binary: Option<PathBuf>,
    names: Names,
    shared: TempDir,
    started: AtomicU32,
}

impl Fleet {
    pub fn new(binary: Option<&Path>, names: Names) -> Self {
        let shared = tempfile::tempdir().expect("a temporary folder");
        Self { binary: binary.map(Path::to_path_buf), names, shared, started: AtomicU32::new(0) }
    }

    /// A sidecar that logs as in production and finds the others of this proof, and no one else.
    pub fn sidecar(&self, app_id: &str) -> Builder {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        let folder = match self.names {
            Names::Registry => self.shared.path().join("all"),
            Names::Mdns => self.shared.path().join(number.to_string()),
        };
        std::fs::create_dir_all(&folder).expect("a fresh folder");
        let builder = Sidecar::builder(app_id);
        let builder = match &self.binary {
            Some(binary) => builder.binary(binary),
            None => builder,
        };
        builder.environment("XDG_RUNTIME_DIR", folder.to_string_lossy()).argument("--log-level").argument("info")
    }
}

/// An app id that no other run on this network has.
pub fn unique(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{name}-{}-{}", std::process::id(), now.subsec_micros())
}

/// Publishes message `number`.
pub async fn publish(client: &Client, url: &str, number: u64) -> Result<(), String> {
    let body = Bytes::from(json!({ "number": number }).to_string());
    client.call(Method::POST, url, body).await.map(drop)
}

/// Waits until `holds`, at most for `patience`; whether it did.
pub fn wait_for(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if start.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Milliseconds with one decimal.
pub fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// KiB as MB with one decimal.
pub fn megabytes(kib: u64) -> String {
    format!("{:.1} MB", kib as f64 / 1024.0)
}

/// A line of progress.
pub fn progress(line: &str) {
    eprintln!("… {line}");
}
