//! A sidecar as a process, on free ports, with a folder of its own for resources and output.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use super::{Process, free_ports, ottavo};

/// How long a sidecar may take to end, and to become ready unless something else is said.
const PATIENCE: Duration = Duration::from_secs(30);
/// Answers 204 when the application has been found, and all is up.
pub const READY: &str = "/v1.0/healthz";
/// Answers 204 when the application may call its sidecar.
pub const API_READY: &str = "/v1.0/healthz/outbound";

/// What a sidecar is started with.
pub struct Builder {
    binary: PathBuf,
    app_id: String,
    resources: Vec<(String, String)>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    ready: &'static str,
    directory: Option<PathBuf>,
    under: Vec<String>,
    patience: Duration,
}

impl Builder {
    /// Runs this program, an Ottavo or a daprd, in place of Ottavo's own binary.
    #[must_use]
    pub fn binary(mut self, path: &Path) -> Self {
        self.binary = path.to_path_buf();
        self
    }

    /// A file of resources (YAML).
    #[must_use]
    pub fn resource(mut self, yaml: impl Into<String>) -> Self {
        let name = format!("{:02}.yaml", self.resources.len());
        self.resources.push((name, yaml.into()));
        self
    }

    /// The application's port and protocol (`http`, `grpc`, ...); the start waits until the sidecar has found it.
    #[must_use]
    pub fn app(self, port: u16, protocol: &str) -> Self {
        self.ready_when(READY)
            .argument("--app-port")
            .argument(port.to_string())
            .argument("--app-protocol")
            .argument(protocol)
    }

    /// The working directory, to which paths in resources are relative; without it the sidecar's own folder.
    #[must_use]
    pub fn directory(mut self, path: &Path) -> Self {
        self.directory = Some(path.to_path_buf());
        self
    }

    /// One more word of the command line.
    #[must_use]
    pub fn argument(mut self, word: impl Into<String>) -> Self {
        self.arguments.push(word.into());
        self
    }

    /// One more environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The path that answers 204 when the start has succeeded; without it [`API_READY`], with an application [`READY`].
    #[must_use]
    pub fn ready_when(mut self, path: &'static str) -> Self {
        self.ready = path;
        self
    }

    /// How long it may take to become ready.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the program under another, which is given its path and words behind these, as `valgrind` is.
    #[must_use]
    pub fn under(mut self, words: impl IntoIterator<Item = String>) -> Self {
        self.under.extend(words);
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    ///
    /// When it ends or does not become ready; the message holds its log.
    pub fn start(self) -> Sidecar {
        let mut sidecar = self.lay_out();
        sidecar.run();
        sidecar
    }

    /// Chooses ports and writes resources, without starting anything: [`Sidecar::run`] does, or who runs its
    /// [`words`](Sidecar::words) in another way.
    ///
    /// # Panics
    ///
    /// When the folder cannot be made.
    pub fn lay_out(self) -> Sidecar {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let daprd = folder.path().join("daprd");
        std::os::unix::fs::symlink(&self.binary, &daprd).expect("a link in a fresh folder");
        let resources = folder.path().join("resources");
        std::fs::create_dir(&resources).expect("a fresh folder");
        for (name, yaml) in &self.resources {
            std::fs::write(resources.join(name), yaml).expect("a writable folder");
        }
        let [http, grpc, internal, metrics, public, profile] = free_ports();
        let mut words = vec!["--app-id".to_owned(), self.app_id.clone()];
        for (flag, port) in [
            ("--dapr-http-port", http),
            ("--dapr-grpc-port", grpc),
            ("--dapr-internal-grpc-port", internal),
            ("--metrics-port", metrics),
            ("--dapr-public-port", public),
            ("--profile-port", profile),
        ] {
            words.extend([flag.to_owned(), port.to_string()]);
        }
        words.extend(["--dapr-listen-addresses", "127.0.0.1", "--log-level", "debug"].map(str::to_owned));
        words.extend(["--resources-path".to_owned(), resources.to_string_lossy().into_owned()]);
        words.extend(self.arguments);
        Sidecar {
            process: None,
            app_id: self.app_id,
            http,
            grpc,
            internal,
            metrics,
            directory: self.directory.unwrap_or_else(|| folder.path().to_path_buf()),
            folder,
            daprd,
            words,
            environment: self.environment,
            ready: self.ready,
            under: self.under,
            patience: self.patience,
        }
    }
}

/// A running sidecar; it is killed with its value.
pub struct Sidecar {
    process: Option<Process>,
    /// The application's id.
    pub app_id: String,
    /// The port of the HTTP API.
    pub http: u16,
    /// The port of the gRPC API.
    pub grpc: u16,
    /// The port of the protocol between sidecars.
    pub internal: u16,
    /// The port of the metrics.
    pub metrics: u16,
    directory: PathBuf,
    folder: TempDir,
    daprd: PathBuf,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    ready: &'static str,
    under: Vec<String>,
    patience: Duration,
}

impl Sidecar {
    /// A sidecar of `app_id` by Ottavo's own binary.
    pub fn builder(app_id: &str) -> Builder {
        Builder {
            binary: ottavo(),
            app_id: app_id.to_owned(),
            resources: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            ready: API_READY,
            directory: None,
            under: Vec::new(),
            patience: PATIENCE,
        }
    }

    /// Starts the process (again), on the same ports, and waits until it is ready.
    pub fn run(&mut self) {
        let daprd = self.daprd.to_string_lossy().into_owned();
        let mut line = self.under.iter().chain([&daprd]).chain(&self.words);
        let mut command = Command::new(line.next().unwrap_or(&daprd));
        command.args(line).current_dir(&self.directory);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start(command, &self.folder.path().join("log"));
        process.wait_until("ready", self.patience, || self.is_ready());
        self.process = Some(process);
    }

    /// Whether it is as far as [`Builder::ready_when`] says.
    pub fn is_ready(&self) -> bool {
        get(self.http, self.ready).is_some_and(|answer| answer.starts_with("HTTP/1.1 204"))
    }

    /// The command line behind the program's name.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The process id.
    ///
    /// # Panics
    ///
    /// After [`Sidecar::stop`] or [`Sidecar::kill`].
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("a running sidecar").id()
    }

    /// The folder of resources; what is written there is read at the next start.
    pub fn resources(&self) -> PathBuf {
        self.folder.path().join("resources")
    }

    /// What the sidecar wrote, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `http://127.0.0.1:<HTTP port>`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.http)
    }

    /// Whether the process still runs.
    pub fn alive(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.ended().is_none())
    }

    /// Resident memory, in KiB (`VmRSS`).
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// Waits for its end without asking for it, as after a shutdown through its API.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn wait(&mut self) -> Option<ExitStatus> {
        Some(self.process.take()?.wait(PATIENCE))
    }

    /// Stops it gracefully (`SIGTERM`) and waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn stop(&mut self) -> Option<ExitStatus> {
        let mut process = self.process.take()?;
        process.terminate();
        Some(process.wait(PATIENCE))
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
        }
    }
}

/// The answer to a plain GET, when there is one.
fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}
