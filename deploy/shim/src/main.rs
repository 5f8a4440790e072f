//! containerd's shim for functions: a container whose image holds a WebAssembly module becomes a function of the
//! node's gateway, and goes with its container.
//!
//! containerd starts this program as `containerd-shim-ottavo-v2 ... start` once for each container or pod. That leaves
//! a process of the same program behind ([`serve`]), which answers containerd's Task API ([`service`]) at a Unix socket.
//! A container ([`task`]) has no process of its own: what it is, is told to the gateway ([`gateway`]), whose function's
//! lines become the container's output. `... delete` ([`delete`]) cleans up after a shim that has died.

mod bundle;
mod cri;
mod delete;
mod error;
mod events;
mod flags;
mod function;
mod gateway;
mod image;
mod manifest;
mod mounts;
mod name;
mod output;
mod record;
mod serve;
mod service;
mod start;
mod stats;
mod task;

use std::process::ExitCode;

use flags::{Action, Flags};

fn main() -> ExitCode {
    let outcome = Flags::parse(std::env::args().skip(1)).and_then(|flags| match flags.action {
        Action::Version => {
            println!("containerd-shim-ottavo-v2 {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        Action::Info => start::info(),
        Action::Start => start::run(&flags),
        Action::Serve => serve::run(&flags),
        Action::Delete => delete::run(&flags),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("containerd-shim-ottavo-v2: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// A line for containerd's log, where the standard error of a serving shim leads.
fn log(line: &str) {
    use std::io::Write;
    // containerd may not be there just now.
    let _ = writeln!(std::io::stderr(), "ottavo: {line}");
}
