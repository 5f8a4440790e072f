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
use crate::cli::run::child::{Child, exit_code};
use crate::memory;
use crate::server::{Bound, Http, OVERLOAD_DELAY, Overload, Reserved, ServeConnection, Swap};
use crate::workers::Workers;

mod address;
mod application;
mod functions;
mod generation;
mod listeners;
pub mod loader;
mod metrics_page;
mod resolver;
mod signals;
mod start_pages;

use generation::Generation;
use listeners::Listeners;
use signals::{Asked, Signals};

pub(crate) const SCOPE: &str = "dapr.runtime";

/// After that a sidecar that has started has its first requests behind it.
const SETTLING: Duration = Duration::from_secs(3);

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
    /// Ports that were bound before, until the listeners take them.
    reserved: Reserved,
    pub readiness: Readiness,
    pub outbound: Readiness,
    /// The services behind the listeners.
    pub http: Swap,
    pub public: Swap,
    pub grpc: Swap,
    pub internal: Swap,
    pub metrics: Swap,
    #[cfg(feature = "wasm")]
    pub functions: Swap,
    #[cfg(feature = "wasm")]
    pub functions_admin: Swap,
    /// Which requests are refused because there are too many.
    pub overload: Overload,
    /// Turns true when connections must finish.
    pub drain: watch::Sender<bool>,
    /// Requests over the API to end the process.
    pub stop: mpsc::UnboundedSender<Stop>,
    pub host_address: String,
    pub internal_port: u16,
    /// The internal port: bound before anything can take it, served when there is something to serve. Until then the
    /// calls of others wait at the socket; an answer that says no would look like a failed call to them.
    internal_bound: Option<Bound>,
    /// The same for peers of this user on this host, to whom a socket costs less.
    pub internal_socket: Option<std::path::PathBuf>,
    socket_bound: Option<Bound>,
    accepting: TaskTracker,
}

impl Process {
    /// Accepts connections of `bound` for `service` until the drain.
    fn accept(&self, bound: Bound, http: Http, service: impl ServeConnection) {
        let accepting = crate::server::accept(bound, http, service, self.workers.clone(), self.drain.subscribe());
        self.accepting.spawn(accepting);
    }
}

/// What a run is about, beside its flags.
#[derive(Default)]
pub struct Companion {
    /// Resources that come before those of files and give way to them.
    pub components: Vec<crate::config::Component>,
    /// An application to run beside the sidecar: started once the APIs serve; its end is the sidecar's.
    pub command: Vec<String>,
    /// Ports that are bound already.
    pub reserved: Reserved,
}

/// Runs a sidecar until it is told to stop, or its companion ends.
///
/// # Errors
/// The one line for the operator; the caller logs it and exits with 1.
pub async fn run(flags: Flags, workers: Workers, companion: Companion) -> Result<Exit, Fatal> {
    let started = Instant::now();
    let mut signals = Signals::listen().map_err(|error| format!("cannot listen to signals: {error}"))?;
    announce(&flags);
    check_supported(&flags)?;
    let (stop, mut stops) = mpsc::unbounded_channel();
    let mut process = prepare(flags, workers, companion.reserved, stop).await?;
    let extra = companion.components;
    let mut generation = tokio::select! {
        generation = Generation::start(&mut process, extra.clone()) => generation?,
        name = signals.next_stop() => return interrupted(name),
    };
    process.outbound.set("app", true);
    generation.functions.begin(&generation.inbound).await;
    let mut child = start_child(&companion.command, &process.flags)?;
    let mut app = tokio::select! {
        app = application::Application::new(&generation).discovered(&process.flags) => app,
        name = signals.next_stop() => {
            let code = end_child(child).await;
            generation.close(&process).await;
            return interrupted(name).map(|exit| code.unwrap_or(exit));
        }
        // A stop over the API before the application is there.
        Some(how) = stops.recv() => {
            let exit = if how == Stop::Forced { forced().await } else { Exit::Success };
            let code = end_child(child).await;
            generation.close(&process).await;
            return Ok(code.unwrap_or(exit));
        }
        status = wait_child(&mut child) => {
            generation.close(&process).await;
            close_child(child).await;
            return Ok(status);
        }
    };
    app.begin(&process, &generation).await?;
    process.readiness.set("runtime", true);
    tracing::info!(target: SCOPE, "dapr initialized. Status: Running. Init Elapsed {}ms", started.elapsed().as_millis());
    start_pages::release();
    // What comes right after, of probes and subscriptions, is a part of the start.
    tokio::spawn(async {
        tokio::time::sleep(SETTLING).await;
        start_pages::release();
        memory::give_back();
    });
    let mut ended = None;
    loop {
        let asked = tokio::select! {
            asked = signals.next() => asked,
            Some(how) = stops.recv() => match how {
                Stop::Forced => return Ok(forced().await),
                Stop::Graceful => Asked::Stop("api"),
            },
            status = wait_child(&mut child) => {
                ended = Some(status);
                Asked::Stop("child")
            }
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
                // The application first: what it still does on its way out needs the sidecar.
                let status = match ended {
                    Some(status) => {
                        close_child(child).await;
                        Some(status)
                    }
                    None => end_child(child).await,
                };
                let exit = shutdown(process, generation, app, signals).await?;
                return Ok(status.unwrap_or(exit));
            }
        }
    }
}

/// The time that the application gets to end after SIGTERM.
const CHILD_GRACE: Duration = Duration::from_secs(10);

fn start_child(command: &[String], flags: &Flags) -> Result<Option<Child>, Fatal> {
    let Some(program) = command.first() else { return Ok(None) };
    match Child::spawn(command, flags) {
        Ok(child) => Ok(Some(child)),
        Err(error) => Err(Fatal(format!("cannot run {program}: {error}"))),
    }
}

/// The end of the application; never without one.
async fn wait_child(child: &mut Option<Child>) -> Exit {
    match child {
        None => std::future::pending().await,
        Some(child) => match child.wait().await {
            Ok(status) => Exit::App(exit_code(status)),
            Err(_) => Exit::Failure,
        },
    }
}

/// Asks the application to end, and waits for it.
async fn end_child(child: Option<Child>) -> Option<Exit> {
    let mut child = child?;
    let status = child.terminate(CHILD_GRACE).await;
    child.close().await;
    Some(status.map_or(Exit::Failure, |status| Exit::App(exit_code(status))))
}

async fn close_child(child: Option<Child>) {
    if let Some(child) = child {
        child.close().await;
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success,
    /// Exit code 1, and nothing more to say.
    Failure,
    /// The application's own exit code.
    App(u8),
}

impl Exit {
    pub fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::App(code) => code,
        }
    }
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
        return Err(
            "this build of Ottavo has no Kubernetes mode yet: start it with --mode standalone, which is the default"
                .into(),
        );
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
async fn prepare(
    flags: Flags,
    workers: Workers,
    reserved: Reserved,
    stop: mpsc::UnboundedSender<Stop>,
) -> Result<Process, Fatal> {
    let (readiness, outbound) = (Readiness::default(), Readiness::default());
    for target in ["grpc-api-server", "grpc-internal-server", "runtime"] {
        readiness.expect(target);
    }
    outbound.expect("app");
    let internal = listeners::bind_internal(&flags).await?;
    let socket = listeners::bind_internal_socket(&flags);
    let mut registry = Registry::builtin();
    let folder =
        flags.environment.non_empty("DAPR_COMPONENTS_SOCKETS_FOLDER").unwrap_or("/tmp/dapr-components-sockets");
    components::pluggable::discover(std::path::Path::new(folder), &mut registry)
        .await
        .map_err(|error| error.to_string())?;
    let overload = flags.environment.non_empty(OVERLOAD_DELAY).map(str::to_owned);
    let process = Process {
        host_address: address::host_address(&flags.environment, &flags.internal_grpc_listen_address),
        internal_port: internal.port(),
        internal_bound: Some(internal),
        internal_socket: socket.as_ref().map(|(path, _)| path.clone()),
        socket_bound: socket.map(|(_, bound)| bound),
        flags,
        reserved,
        registry,
        workers,
        readiness,
        outbound,
        http: Swap::default(),
        public: Swap::default(),
        grpc: Swap::default(),
        internal: Swap::default(),
        metrics: Swap::default(),
        #[cfg(feature = "wasm")]
        functions: Swap::default(),
        #[cfg(feature = "wasm")]
        functions_admin: Swap::default(),
        overload: Overload::new(overload.as_deref())?,
        drain: watch::Sender::new(false),
        stop,
        accepting: TaskTracker::new(),
    };
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
async fn shutdown(
    process: Process,
    generation: Generation,
    app: application::Application,
    mut signals: Signals,
) -> Result<Exit, Fatal> {
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
