//! A child process with its output in a file; it ends with its value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program.
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its output, both streams, appended to `log`.
    ///
    /// # Panics
    ///
    /// When the program cannot be started.
    pub fn start(mut command: Command, log: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let file = File::options().append(true).create(true).open(log).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self { child, name, log: log.to_path_buf() }
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All that the program wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `ready` holds.
    ///
    /// # Panics
    ///
    /// When the program ends before, or `patience` is over; the message holds what it wrote.
    pub fn wait_until(&mut self, what: &str, patience: Duration, mut ready: impl FnMut() -> bool) {
        let start = Instant::now();
        while !ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{} ended with {status} before {what}:\n{}", self.name, self.log());
            }
            assert!(start.elapsed() < patience, "{}: no {what} in {patience:?}:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asks the program to end (`SIGTERM`), without waiting.
    pub fn terminate(&self) {
        let id = self.child.id().to_string();
        // An error means that it has ended already.
        let _ = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
    }

    /// Waits for the end.
    ///
    /// # Panics
    ///
    /// When it does not come within `patience`.
    pub fn wait(&mut self, patience: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(start.elapsed() < patience, "{} does not end:\n{}", self.name, self.log());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The status, when the program has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Ends the program at once, as a crash would.
    pub fn kill(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
