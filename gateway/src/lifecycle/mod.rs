//! From flags to a running sidecar, and back: build order, readiness, reload, drain (as daprd 1.18). No API logic.
//!
//! [`Process`] is what lives as long as the process: listeners, worker threads, the loaded components. A
//! [`Generation`] is what is built from the Configuration and the resources; SIGHUP builds the next one and puts it in
//! the place of the last while listeners and unchanged components go on.

use std::time::{Duration, Instant};

use components::Registry;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::blocks::sidecar::{RUNTIME_VERSION, Readiness, Stop};
use crate::cli::Flags;
use crate::cli::flags::Mode;
use crate::server::{Http, ServeConnection, Swap, Workers};

mod address;
mod application;
mod generation;
mod listeners;
pub mod loader;
mod metrics_page;
mod resolver;
mod signals;

use generation::Generation;
use listeners::Listeners;
use signals::{Asked, Signals};

pub(crate) const SCOPE: &str = "dapr.runtime";

/// The time that HTTP and gRPC connections get to finish what they have.
const SERVER_DRAIN: Duration = Duration::from_secs(10);

/// Why the sidecar could not start or go on. The text is what daprd logs behind `Fatal error from runtime: `.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fatal(pub String);

impl<T: Into<String>> From<T> for Fatal {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// What lives as long as the process.
pub struct Process {
    pub flags: Flags,
    /// Types that can be loaded, pluggable ones among them.
    pub registry: Registry,
    pub workers: Workers,
    pub readiness: Readiness,
    pub outbound: Readiness,
    /// The services behind the listeners.
    pub http: Swap,
    pub public: Swap,
    pub grpc: Swap,
    pub internal: Swap,
    pub metrics: Swap,
    /// Turns true when connections must finish.
    pub drain: watch::Sender<bool>,
    /// Requests over the API to end the process.
    pub stop: mpsc::UnboundedSender<Stop>,
    pub host_address: String,
    pub internal_port: u16,
    accepting: TaskTracker,
}

impl Process {
    /// Accepts connections of `bound` for `service` until the drain.
    fn accept(&self, bound: crate::server::Bound, http: Http, service: impl ServeConnection) {
        let accepting = crate::server::accept(bound, http, service, self.workers.clone(), self.drain.subscribe());
        self.accepting.spawn(accepting);
    }
}

/// What else ends a run, beside signals and the API: `ottavo run` ends with its child.
pub type Ended = futures::future::BoxFuture<'static, ()>;

/// Runs a sidecar until it is told to stop. `on_ready` is called once the APIs serve and outbound calls work;
/// `ended` may end the run like a signal; `extra` are resources that come before those of files.
///
/// # Errors
/// The one line for the operator; the caller logs it and exits with 1.
pub async fn run(
    flags: Flags,
    workers: Workers,
    extra: Vec<crate::config::Component>,
    on_ready: impl FnOnce(Ready),
    ended: Ended,
) -> Result<Exit, Fatal> {
    let started = Instant::now();
    let mut signals = Signals::listen().map_err(|error| format!("cannot listen to signals: {error}"))?;
    announce(&flags);
    check_supported(&flags)?;
    let (stop, mut stops) = mpsc::unbounded_channel();
    let mut process = prepare(flags, workers, stop).await?;
    let mut generation = tokio::select! {
        generation = Generation::start(&mut process, extra.clone()) => generation?,
        name = signals.next_stop() => return interrupted(name),
    };
    let app = application::Application::start(&process, &generation);
    process.outbound.set("app", true);
    on_ready(Ready { http_port: process.flags.http_port, grpc_port: process.flags.grpc_port });
    let mut app = tokio::select! {
        app = app.discovered(&process) => app,
        name = signals.next_stop() => {
            generation.close(&process).await;
            return interrupted(name);
        }
        // A stop over the API before the application is there.
        Some(how) = stops.recv() => {
            let exit = if how == Stop::Forced { forced().await } else { Exit::Success };
            generation.close(&process).await;
            return Ok(exit);
        }
    };
    app.begin(&process, &generation).await?;
    process.readiness.set("runtime", true);
    tracing::info!(target: SCOPE, "dapr initialized. Status: Running. Init Elapsed {}ms", started.elapsed().as_millis());
    let mut ended = ended;
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            Some(how) = stops.recv() => match how {
                Stop::Forced => return Ok(forced().await),
                Stop::Graceful => Asked::Stop("api"),
            },
            () = &mut ended => Asked::Stop("child"),
        };
        match asked {
            Asked::Reload => {
                tracing::info!(target: "dapr.signals", "Received signal 'hangup'; reloading");
                generation.reload(&mut process, extra.clone(), &mut app).await?;
            }
            Asked::Stop(name) => {
                if !matches!(name, "api" | "child") {
                    tracing::info!(target: "dapr.signals", "Received signal '{name}'; beginning shutdown");
                }
                return shutdown(process, generation, app, signals).await;
            }
        }
    }
}

/// The ports that are open once the sidecar is ready.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    pub http_port: u16,
    pub grpc_port: u16,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success,
    /// Exit code 1, and nothing more to say.
    Failure,
}

fn announce(flags: &Flags) {
    let ours = env!("CARGO_PKG_VERSION");
    tracing::info!(target: SCOPE, "Starting Dapr Runtime -- version {RUNTIME_VERSION} -- commit ottavo-{ours}");
    tracing::info!(target: SCOPE, "Log level set to: {}", flags.log.level_text);
    if !flags.enable_mtls {
        tracing::warn!(
            target: "dapr.runtime.security",
            "mTLS is disabled. Skipping certificate request and tls validation"
        );
    }
}

/// What this build cannot do ends the start: it must not look as if it were done.
fn check_supported(flags: &Flags) -> Result<(), Fatal> {
    if flags.mode == Mode::Kubernetes {
        return Err("this build of Ottavo has no Kubernetes mode yet: start it with --mode standalone, which is the default".into());
    }
    if flags.enable_mtls {
        return Err("this build of Ottavo has no mTLS yet and will not serve plaintext in its place: start it without --enable-mtls".into());
    }
    if flags.placement_addresses.is_empty() {
        tracing::warn!(
            target: "dapr.runtime.actor",
            "Actor runtime disabled: api error: code = Unavailable desc = placement service is not configured. Actors and Workflow APIs will be unavailable"
        );
    } else {
        tracing::warn!(
            target: "dapr.runtime.actor",
            "Actor runtime disabled: this build of Ottavo does not join a placement service yet; --placement-host-address is not used"
        );
    }
    if flags.scheduler_addresses.is_empty() {
        tracing::warn!(
            target: "dapr.runtime.scheduler.watchhosts",
            "No scheduler host addresses provided. Scheduler disabled"
        );
    } else {
        tracing::warn!(
            target: "dapr.runtime.scheduler.watchhosts",
            "Scheduler disabled: this build of Ottavo does not join a scheduler yet; --scheduler-host-address is not used"
        );
    }
    Ok(())
}

/// Binds the internal port, before anything can take it, and finds the pluggable components.
async fn prepare(flags: Flags, workers: Workers, stop: mpsc::UnboundedSender<Stop>) -> Result<Process, Fatal> {
    let (readiness, outbound) = (Readiness::default(), Readiness::default());
    for target in ["grpc-api-server", "grpc-internal-server", "runtime"] {
        readiness.expect(target);
    }
    outbound.expect("app");
    let internal = listeners::bind_internal(&flags).await?;
    let mut registry = Registry::builtin();
    let folder = flags.environment.non_empty("DAPR_COMPONENTS_SOCKETS_FOLDER").unwrap_or("/tmp/dapr-components-sockets");
    components::pluggable::discover(std::path::Path::new(folder), &mut registry)
        .await
        .map_err(|error| error.to_string())?;
    let process = Process {
        host_address: address::host_address(&flags.environment, &flags.internal_grpc_listen_address),
        internal_port: internal.port(),
        flags,
        registry,
        workers,
        readiness,
        outbound,
        http: Swap::default(),
        public: Swap::default(),
        grpc: Swap::default(),
        internal: Swap::default(),
        metrics: Swap::default(),
        drain: watch::Sender::new(false),
        stop,
        accepting: TaskTracker::new(),
    };
    process.accept(internal, listeners::grpc_protocol(&process.flags), process.internal.clone());
    Ok(process)
}

fn interrupted(name: &str) -> Result<Exit, Fatal> {
    tracing::info!(target: "dapr.signals", "Received signal '{name}'; beginning shutdown");
    tracing::info!(target: SCOPE, "Daprd shutdown gracefully");
    Ok(Exit::Success)
}

/// The answer gets a moment to reach its caller.
async fn forced() -> Exit {
    tokio::time::sleep(Duration::from_millis(100)).await;
    Exit::Failure
}

/// Ends in order: the name, what comes in, what is under way, the components. Bounded by the grace time.
async fn shutdown(process: Process, generation: Generation, app: application::Application, mut signals: Signals) -> Result<Exit, Fatal> {
    if let Some(block) = process.flags.block_shutdown {
        application::block(block, &generation, &app, &mut signals).await?;
    }
    tracing::info!(target: SCOPE, "Dapr is shutting down");
    let grace = process.flags.graceful_shutdown;
    let closing = async {
        app.close().await;
        generation.close(&process).await;
    };
    let timeout = async {
        if grace.is_zero() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        () = closing => {
            tracing::info!(target: SCOPE, "Dapr runtime stopped");
            tracing::info!(target: SCOPE, "Daprd shutdown gracefully");
            Ok(Exit::Success)
        }
        () = timeout => Err("Graceful shutdown timeout exceeded, forcing shutdown".into()),
        name = signals.next_stop() => {
            Err(format!("Received signal '{name}' during shutdown; exiting immediately").into())
        }
    }
}

