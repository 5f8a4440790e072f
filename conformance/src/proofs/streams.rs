//! Large bodies through two sidecars, with and without a length told in advance: whole, and without being kept in
//! memory.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use http::Method;
use http_body_util::{BodyExt, Empty};
use tokio::runtime::Runtime;

use super::Names;
use super::common::{Fleet, megabytes, progress, unique};
use crate::app::{App, Pattern, Settings as AppSettings, checksum_of};
use crate::load::{Bound, Client, Memory, Report, cpu_of, own_cpu};
use crate::target::{Builder, Sidecar};

/// The sizes of this proof; the default is the full one.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The caller's program; Ottavo's own when `None`.
    pub sidecar: Option<PathBuf>,
    /// The callee's program, where it is another: between Ottavo and daprd the call is a stream of Dapr's messages.
    pub callee: Option<PathBuf>,
    /// Bytes of each body.
    pub length: u64,
    /// What each sidecar may need beyond what it had, in KiB.
    pub growth: u64,
    /// How long one body may take.
    pub patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { sidecar: None, callee: None, length: 1 << 30, growth: 16 << 10, patience: Duration::from_secs(120) }
    }
}

/// One body's way.
#[derive(Debug, Clone, Copy)]
struct Transfer {
    name: &'static str,
    is_upload: bool,
    tells_length: bool,
}

const TRANSFERS: [Transfer; 4] = [
    Transfer { name: "upload, length told", is_upload: true, tells_length: true },
    Transfer { name: "upload, chunks", is_upload: true, tells_length: false },
    Transfer { name: "download, length told", is_upload: false, tells_length: true },
    Transfer { name: "download, chunks", is_upload: false, tells_length: false },
];

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
    let is_mixed = settings.callee.is_some() || settings.sidecar.is_some();
    let names = if is_mixed { Names::Mdns } else { Names::Registry };
    let fleet = Fleet::new(settings.sidecar.as_deref(), names);
    let app = App::start(runtime.handle(), AppSettings::default())?;
    let app_id = unique("callee");
    let limit = ["--max-body-size", "2Gi"];
    let callee = fleet.sidecar(&app_id).app(app.port, "http");
    let callee = match &settings.callee {
        Some(binary) => callee.binary(binary),
        None => callee,
    };
    let [callee, caller] = [callee, fleet.sidecar(&unique("caller"))]
        .map(|builder| limit.into_iter().fold(builder, Builder::argument).start());
    let client = Client::default();
    let url = format!("{}/v1.0/invoke/{app_id}/method", caller.url());
    // Connections, buffers and threads are there before memory is looked at.
    for transfer in TRANSFERS {
        if let Err(error) = runtime.block_on(transfer.run(&client, &url, 1 << 20)) {
            progress(&format!("{} before the run: {error}", transfer.name));
        }
    }
    let mut report = Report::new(
        &format!("streams of {}", megabytes(settings.length >> 10)),
        &["body", "seconds", "MB/s", "caller +RSS", "callee +RSS", "caller CPU", "callee CPU", "others' CPU"],
    );
    let expected = checksum_of(settings.length);
    for transfer in TRANSFERS {
        progress(transfer.name);
        let both = [&caller, &callee];
        let memory = both.map(|sidecar| Memory::watch(sidecar.id()));
        let (before, own) = (both.map(cpu), own_cpu());
        let started = Instant::now();
        let outcome = runtime.block_on(async {
            let moving = transfer.run(&client, &url, settings.length);
            tokio::time::timeout(settings.patience, moving).await.unwrap_or_else(|_| Err("not in time".to_owned()))
        });
        let took = started.elapsed().as_secs_f64();
        let growth = memory.map(|memory| memory.growth());
        let spent = [0, 1].map(|index| cpu(both[index]).saturating_sub(before[index]));
        report.row([
            transfer.name.to_owned(),
            format!("{took:.1}"),
            format!("{:.0}", settings.length as f64 / took / 1e6),
            megabytes(growth[0]),
            megabytes(growth[1]),
            seconds(spent[0]),
            seconds(spent[1]),
            seconds(own_cpu() - own),
        ]);
        let is_whole = outcome.as_ref().is_ok_and(|checksum| *checksum == expected);
        report.bounds.push(Bound {
            what: format!("{}: the bytes arrive", transfer.name),
            limit: "all, with their SHA-256".into(),
            measured: if is_whole { "all".into() } else { outcome.unwrap_or_else(|error| error) },
            held: is_whole,
        });
        for (name, growth) in ["caller's", "callee's"].into_iter().zip(growth) {
            let what = format!("{}: growth of the {name} sidecar", transfer.name);
            report.bounds.push(Bound::at_most(what, growth, settings.growth, "KiB"));
        }
    }
    Ok(report)
}

impl Transfer {
    /// Moves one body; the checksum of what arrived.
    async fn run(self, client: &Client, url: &str, length: u64) -> Result<String, String> {
        if self.is_upload {
            let body = Pattern::new(length, self.tells_length).boxed();
            let response = client.send(Method::POST, &format!("{url}/upload"), body).await?;
            let status = response.status();
            let answer = response.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
            let text = String::from_utf8_lossy(&answer).into_owned();
            return if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) };
        }
        let chunked = if self.tells_length { "" } else { "&chunked=1" };
        let url = format!("{url}/download?bytes={length}{chunked}");
        Client::checksum(client.send(Method::GET, &url, Empty::new().boxed()).await?).await
    }
}

fn cpu(sidecar: &Sidecar) -> Duration {
    cpu_of(sidecar.id())
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
