//! A sidecar in this process.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use conformance::client::http1::{Plan, exchange};
use conformance::target::{Builder, Sidecar};
use gateway::cli::{self, Command};
use gateway::config::Environment;
use gateway::lifecycle::{self, Companion};
use gateway::workers::{self, Workers};

const PATIENCE: Duration = Duration::from_secs(30);

/// A sidecar on a thread of this process; it is asked to end, and waited for, with its value.
pub struct InProcess {
    pub sidecar: Sidecar,
    thread: Option<JoinHandle<()>>,
}

impl InProcess {
    /// Starts one and waits until it is ready.
    pub fn start(builder: Builder) -> Self {
        let sidecar = builder.lay_out();
        let words = sidecar.words().to_vec();
        let thread = std::thread::spawn(move || {
            let flags = match cli::parse("daprd", &words, &Environment::of_process()) {
                Ok(Command::Sidecar(flags)) => *flags,
                other => panic!("no sidecar's command line: {other:?}"),
            };
            let runtime = workers::single_threaded().expect("a runtime can be made");
            let workers = Workers::start(&runtime, 1).expect("the first worker is this thread");
            let outcome = runtime.block_on(lifecycle::run(flags, workers, Companion::default()));
            assert!(outcome.is_ok(), "{outcome:?}");
        });
        let started = Instant::now();
        while !sidecar.is_ready() {
            assert!(!thread.is_finished() && started.elapsed() < PATIENCE, "the sidecar does not become ready");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self { sidecar, thread: Some(thread) }
    }
}

impl Drop for InProcess {
    fn drop(&mut self) {
        let request = b"POST /v1.0/shutdown HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        let plan = Plan { answers: Some(1), half_close: false, patience: PATIENCE };
        let answered = exchange(self.sidecar.http, request, plan).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| answered) {
            // A panic there has been printed.
            let _ = thread.join();
        }
    }
}
