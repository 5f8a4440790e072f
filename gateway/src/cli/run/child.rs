//! The application as a child process, in a process group of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::prctl::set_thp_disable;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Command;

use crate::cli::flags::Flags;

/// Stands before each of the application's lines.
const PREFIX: &str = "== APP == ";
/// Longer lines are printed in pieces.
const LINE: u64 = 64 * 1024;

/// A running application. Ctrl-C on the terminal reaches the sidecar only, which ends the application first.
///
/// Dropping it kills the whole group.
pub struct Child {
    process: tokio::process::Child,
    group: Pid,
    /// Copy the output; they end when every holder of the pipes has.
    copies: Vec<JoinHandle<()>>,
    ended: Option<ExitStatus>,
}

impl Child {
    /// Starts `command` (a program and its arguments) with the sidecar's addresses in its environment.
    ///
    /// Must be called within a tokio runtime.
    pub fn spawn(command: &[String], flags: &Flags) -> io::Result<Self> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "there is no command to run"));
        };
        // The allocator keeps this process from huge pages, which a child inherits; the application decides for itself.
        // An error means a kernel without them.
        let _ = set_thp_disable(false);
        let started = Command::new(program)
            .args(arguments)
            .envs(variables(flags))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let _ = set_thp_disable(true);
        let mut process = started?;
        let group = process.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let group = group.ok_or_else(|| io::Error::other("the application has ended at once"))?;
        let mut copies = Vec::new();
        if let Some(pipe) = process.stdout.take() {
            copies.push(copy(pipe.into_owned_fd()?)?);
        }
        if let Some(pipe) = process.stderr.take() {
            copies.push(copy(pipe.into_owned_fd()?)?);
        }
        Ok(Self { process, group, copies, ended: None })
    }

    /// The process id, which is the group's too.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Waits for the end of the application. May be called again, and given up at any time.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.ended {
            return Ok(status);
        }
        let status = self.process.wait().await?;
        self.ended = Some(status);
        Ok(status)
    }

    /// Asks the application to end (SIGTERM to its group), waits for `grace`, then kills it.
    pub async fn terminate(&mut self, grace: Duration) -> io::Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        match tokio::time::timeout(grace, self.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.signal(Signal::SIGKILL);
                self.wait().await
            }
        }
    }

    /// Ends what is left of the group and waits until its output is printed, for a moment at most.
    pub async fn close(mut self) {
        self.signal(Signal::SIGKILL);
        let copies = std::mem::take(&mut self.copies);
        let printed = tokio::task::spawn_blocking(move || {
            for copy in copies {
                // A panic in there has lost output, no more.
                let _ = copy.join();
            }
        });
        // Someone who left the group may hold the pipes for ever.
        let _ = tokio::time::timeout(Duration::from_secs(1), printed).await;
    }

    fn signal(&self, signal: Signal) {
        // Nobody is left in the group: nothing to do.
        let _ = killpg(self.group, signal);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

/// The exit code of `ottavo run`: the application's own, or 128 and the signal that ended it.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

/// What the application finds in its environment, beside the sidecar's own.
fn variables(flags: &Flags) -> Vec<(&'static str, String)> {
    let mut variables = vec![
        ("APP_ID", flags.app_id.clone()),
        ("APP_CHANNEL_ADDRESS", flags.app_channel_address.clone()),
        ("APP_PROTOCOL", flags.app_protocol.as_str().to_owned()),
        ("DAPR_HTTP_PORT", flags.http_port.to_string()),
        ("DAPR_GRPC_PORT", flags.grpc_port.to_string()),
        ("DAPR_METRICS_PORT", flags.metrics.port.to_string()),
    ];
    if let Some(port) = flags.app_port {
        variables.push(("APP_PORT", port.to_string()));
    }
    if let Some(port) = flags.functions.port {
        variables.push(("OTTAVO_FUNCTIONS_PORT", port.to_string()));
    }
    variables
}

fn copy(pipe: OwnedFd) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name("app-output".to_owned()).spawn(move || {
        // An output that is gone ends the copying; the application sees a closed pipe.
        let _ = print_lines(File::from(pipe), || io::stdout().lock());
    })
}

/// Prints each line of `input` behind the prefix, in one write.
fn print_lines<W: Write>(input: impl Read, output: impl Fn() -> W) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        line.extend_from_slice(PREFIX.as_bytes());
        if input.by_ref().take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        let mut output = output();
        output.write_all(&line)?;
        output.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::cli::{Command as Cli, parse};
    use crate::config::Environment;

    fn flags() -> Flags {
        let words = ["--app-id", "shop", "--app-port", "81"].map(str::to_owned);
        match parse("daprd", &words, &Environment::default()) {
            Ok(Cli::Sidecar(flags)) => *flags,
            other => panic!("{other:?}"),
        }
    }

    fn shell(script: &str) -> Child {
        let command = ["sh", "-c", script].map(str::to_owned);
        Child::spawn(&command, &flags()).unwrap()
    }

    #[tokio::test]
    async fn exit_codes_are_the_applications() {
        assert_eq!(exit_code(shell("exit 3").wait().await.unwrap()), 3);
        assert_eq!(exit_code(shell("kill -9 $$").wait().await.unwrap()), 137);
    }

    #[tokio::test]
    async fn the_application_knows_the_ports() {
        let script =
            r#"[ "$DAPR_HTTP_PORT,$DAPR_GRPC_PORT,$APP_ID,$APP_PORT,$APP_PROTOCOL" = 3500,50001,shop,81,http ]"#;
        assert!(shell(script).wait().await.unwrap().success());
    }

    /// Runs `script` with its signals set as `trap` says; returns when they are.
    async fn trapping(trap: &str) -> Child {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let child = shell(&format!("{trap}; : > '{}'; while :; do sleep 0.05; done", ready.display()));
        while !ready.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        child
    }

    #[tokio::test]
    async fn terminating_gives_time_and_then_kills() {
        let mut kind = trapping("trap 'exit 7' TERM").await;
        assert_eq!(exit_code(kind.terminate(Duration::from_secs(5)).await.unwrap()), 7);
        let mut deaf = trapping("trap '' TERM").await;
        assert_eq!(exit_code(deaf.terminate(Duration::from_millis(100)).await.unwrap()), 137);
        deaf.close().await;
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_an_error() {
        let missing = ["no-such-program-anywhere".to_owned()];
        assert_eq!(Child::spawn(&missing, &flags()).err().unwrap().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn lines_are_prefixed() {
        #[derive(Clone, Default)]
        struct Memory(Arc<Mutex<Vec<Vec<u8>>>>);

        impl Write for Memory {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().push(bytes.to_vec());
                Ok(bytes.len())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        let memory = Memory::default();
        print_lines(&b"one\n\ntwo"[..], || memory.clone()).unwrap();
        let writes: Vec<_> =
            memory.0.lock().unwrap().iter().map(|bytes| String::from_utf8(bytes.clone()).unwrap()).collect();
        assert_eq!(writes, ["== APP == one\n", "== APP == \n", "== APP == two\n"]);
    }
}
