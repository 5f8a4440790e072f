//! A gateway for one function, in this process: the real one, on loopback, with the default components.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use reqwest::Url;
use serde_json::Value;
use wasm_host::digest;

use super::manifest::Project;
use super::{Failure, Outcome, cache, place};
use crate::blocks::sidecar::RUNTIME_VERSION;
use crate::cli::flags::Flags;
use crate::cli::pflag::Parsed;
use crate::cli::run::defaults;
use crate::cli::sidecar;
use crate::config::{Component, Environment};
use crate::lifecycle::{self, Companion};
use crate::server::Reserved;
use crate::telemetry::logging;
use crate::workers::{self, Workers};

/// Log scope of what guests write.
const GUEST: &str = "ottavo.function";

/// How long the gateway may take to start: a module with an engine in it is compiled for a while.
const PATIENCE: Duration = Duration::from_secs(300);

/// How long it may take to end.
const END: Duration = Duration::from_secs(60);

/// A gateway that is ready to start.
pub struct Local {
    /// Its resources: the function. Removed at the end.
    folder: Folder,
    flags: Flags,
    components: Vec<Component>,
    reserved: Reserved,
    functions: u16,
}

impl Local {
    /// `port`: where the function is served, if it is free; 0 for any.
    pub fn new(project: &Project, data_dir: Option<&Path>, port: u16) -> Outcome<Self> {
        let mut environment = Environment::of_process();
        if let Some(cache) = cache::folder(&environment) {
            environment.set(cache::VARIABLE, cache.to_string_lossy());
        }
        let data_dir = data_dir.map(Path::to_owned).or_else(|| defaults::data_dir(&environment));
        let data_dir =
            data_dir.ok_or_else(|| Failure::new("there is no folder for data: set HOME, or give --data-dir"))?;
        let components = defaults::components(&data_dir, &[]).map_err(|error| {
            Failure::new(format!("cannot use {} for data: {error}: choose another with --data-dir", data_dir.display()))
        })?;
        let folder = Folder::make()?;
        folder.put(project)?;
        let mut reserved = Reserved::default();
        let mut ports = Vec::new();
        for port in [port, 0, 0, 0] {
            let port =
                reserved.reserve(port).map_err(|error| Failure::new(format!("there is no free port: {error}")))?;
            ports.push(port);
        }
        let mut words = vec![
            format!("--app-id={}", project.name),
            format!("--functions-port={}", ports[0]),
            format!("--dapr-http-port={}", ports[1]),
            format!("--dapr-grpc-port={}", ports[2]),
            format!("--metrics-port={}", ports[3]),
            "--log-level=info".to_owned(),
            "--log-as-json=true".to_owned(),
            format!("--log-file={}", folder.log().display()),
            format!("--resources-path={}", folder.path.display()),
        ];
        for name in ["dapr-listen-addresses", "dapr-internal-grpc-listen-address", "metrics-listen-address"] {
            words.push(format!("--{name}={}", Ipv4Addr::LOCALHOST));
        }
        let resources = project.folder.join("resources");
        if resources.is_dir() {
            words.push(format!("--resources-path={}", resources.display()));
        }
        // Our own words: they are well formed, and an error still has a text.
        let parsed = Parsed::parse(&words).map_err(|error| Failure::new(error.to_string()))?;
        let flags = sidecar::flags(&parsed, &environment).map_err(|error| Failure::new(error.to_string()))?;
        Ok(Self { folder, flags, components, reserved, functions: ports[0] })
    }

    /// Runs the gateway while `work` is done with it; gives what came of that. `None`: the gateway was told to stop.
    ///
    /// # Errors
    /// Those of `work`, and a gateway that does not start.
    pub fn during<T>(self, work: impl AsyncFnOnce(&mut Folder, Url) -> Outcome<T>) -> Outcome<Option<T>> {
        let Self { mut folder, flags, components, reserved, functions } = self;
        let logs =
            logging::init(&flags.log_options(RUNTIME_VERSION)).map_err(|error| Failure::new(error.to_string()))?;
        let failed = |error: std::io::Error| Failure::new(format!("cannot start a gateway: {error}"));
        let runtime = workers::single_threaded().map_err(failed)?;
        let workers = Workers::start(&runtime, 1).map_err(failed)?;
        let http = flags.http_port;
        let companion = Companion { components, command: Vec::new(), reserved };
        let outcome = runtime.block_on(async {
            let mut gateway = std::pin::pin!(lifecycle::run(flags, workers, companion));
            let served = async {
                ready(http).await?;
                work(&mut folder, address(functions)?).await
            };
            let outcome = tokio::select! {
                ended = &mut gateway => {
                    return ended.map(|_| None).map_err(|fatal| Failure::new(format!("the gateway ended: {fatal}")));
                }
                outcome = served => outcome,
            };
            // It listens to signals by now, and ends as it does for an operator.
            let _ = raise(Signal::SIGTERM);
            let _ = tokio::time::timeout(END, gateway).await;
            outcome.map(Some)
        });
        runtime.shutdown_timeout(Duration::from_millis(100));
        logs.flush();
        folder.print_log();
        outcome
    }
}

/// The gateway's folder of resources, and its log.
pub struct Folder {
    path: PathBuf,
    /// Bytes of the log that were printed.
    printed: usize,
}

impl Folder {
    fn make() -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("ottavo-function-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        Ok(Self { path: folder, printed: 0 })
    }

    /// Puts the function here as it is now.
    pub fn put(&self, project: &Project) -> Outcome {
        let module = project.module()?;
        let bytes = std::fs::read(&module)
            .map_err(|error| Failure::new(format!("{}: {error}: run `ottavo function build`", module.display())))?;
        let name = format!("{}.wasm", project.name);
        let manifest = place::manifest(project, &name, &hex::encode(digest::sha256(&bytes)))?;
        place::put(&self.path, &project.name, &manifest, &bytes)
    }

    fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// What the function has written since the last time, and what went wrong, to standard error.
    pub fn print_log(&mut self) {
        let Ok(log) = std::fs::read(self.log()) else { return };
        let new = log.get(self.printed..).unwrap_or_default();
        // A line that is not whole yet is printed the next time.
        let whole = new.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        for line in new[..whole].split(|byte| *byte == b'\n') {
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            let text = |name: &str| line.get(name).and_then(Value::as_str).unwrap_or_default();
            if text("scope") == GUEST || matches!(text("level"), "error" | "fatal") {
                eprintln!("{}: {}", text("level"), text("msg"));
            }
        }
        self.printed += whole;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn address(port: u16) -> Outcome<Url> {
    Url::parse(&format!("http://{}:{port}", Ipv4Addr::LOCALHOST)).map_err(|error| Failure::new(error.to_string()))
}

/// Waits until the gateway serves.
async fn ready(port: u16) -> Outcome {
    let url = format!("http://{}:{port}/v1.0/healthz", Ipv4Addr::LOCALHOST);
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| Failure::new(error.to_string()))?;
    let waiting = async {
        loop {
            match client.get(&url).send().await {
                Ok(response) if response.status().is_success() => break,
                // Nothing tells when it is; each try costs a connection on loopback.
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.map_err(|_| Failure::new(format!("the gateway was not ready within {PATIENCE:?}")))
}
