//! Commands of a manifest, run in its folder.

use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use super::{Failure, Outcome};

/// The exit code of a shell that does not know a command.
const NOT_FOUND: i32 = 127;

/// Runs `command` with `sh`, beside this program's own output.
///
/// # Errors
/// It cannot be started, or ends with another code than 0; `what` names it in the text.
pub fn run(what: &str, command: &str, folder: &Path) -> Outcome {
    eprintln!("$ {command}");
    let status = Command::new("sh").arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).status();
    let status = status.map_err(|error| Failure::new(format!("cannot start a shell for {what}: {error}")))?;
    check(what, command, status)
}

fn check(what: &str, command: &str, status: ExitStatus) -> Outcome {
    if status.success() {
        return Ok(());
    }
    let hint = if status.code() == Some(NOT_FOUND) { ": is its compiler installed, and on the PATH?" } else { "" };
    Err(Failure::new(format!("{what} failed, {status}{hint}\n  {command}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_say_what_failed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run("the test", "test -d .", folder.path()), Ok(()));
        let Failure(text) = run("the test", "exit 3", folder.path()).unwrap_err();
        assert_eq!(text, "the test failed, exit status: 3\n  exit 3");
        let Failure(text) = run("the build", "no-such-compiler-anywhere", folder.path()).unwrap_err();
        assert!(text.contains("is its compiler installed"), "{text}");
    }
}
