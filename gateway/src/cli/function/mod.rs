//! `ottavo function`: from a template to a function that runs.

mod admin;
mod build;
mod cache;
mod deploy;
mod dev;
mod inspect;
mod invoke;
mod kubernetes;
mod local;
mod logs;
mod manifest;
mod new;
mod place;
mod shell;
mod templates;

use std::io::Write;

use clap::{Args, Subcommand};

/// The words behind `ottavo function`.
#[derive(Debug, Args)]
#[command(after_help = NOTES)]
pub struct Arguments {
    #[command(subcommand)]
    command: FunctionCommand,
}

const NOTES: &str = "\
A function is a WebAssembly module with a manifest, function.yaml, which says what calls it and what it
may use. Where a command takes FOLDER, that is the manifest's folder, or the manifest itself.

From nothing to an answer:
  ottavo function new greeter --lang go
  cd greeter
  ottavo function build
  ottavo function invoke --data 'hello'";

#[derive(Debug, Subcommand)]
enum FunctionCommand {
    /// Write a new function from a template
    #[command(after_help = new::NOTES)]
    New(new::Options),
    /// Build the module, and check that a gateway can run it
    #[command(after_help = build::NOTES)]
    Build(build::Options),
    /// Run the function's own tests
    Test(build::TestOptions),
    /// Show what is in a module: its kind, what it calls, what it lacks
    Inspect(inspect::Options),
    /// Call the function once, here or at a running gateway
    #[command(after_help = invoke::NOTES)]
    Invoke(invoke::Options),
    /// Serve the function, and build it again whenever a file changes
    #[command(after_help = dev::NOTES)]
    Dev(dev::Options),
    /// Put the function where a gateway finds it
    #[command(after_help = deploy::NOTES)]
    Deploy(deploy::Options),
    /// List the functions of a running gateway
    List(admin::ListOptions),
    /// Show what functions have written into a gateway's log
    #[command(after_help = logs::NOTES)]
    Logs(logs::Options),
    /// Take a function away again
    Remove(deploy::RemoveOptions),
}

/// Does what the words say; gives the exit code.
pub fn run(arguments: Arguments) -> u8 {
    let outcome = match arguments.command {
        FunctionCommand::New(options) => new::run(&options),
        FunctionCommand::Build(options) => build::run(&options),
        FunctionCommand::Test(options) => build::test(&options),
        FunctionCommand::Inspect(options) => inspect::run(&options),
        FunctionCommand::Invoke(options) => invoke::run(&options),
        FunctionCommand::Dev(options) => dev::run(&options),
        FunctionCommand::Deploy(options) => deploy::run(&options),
        FunctionCommand::List(options) => admin::list(&options),
        FunctionCommand::Logs(options) => logs::run(&options),
        FunctionCommand::Remove(options) => deploy::remove(&options),
    };
    match outcome {
        Ok(()) => 0,
        Err(Failure(text)) => {
            eprintln!("error: {text}");
            1
        }
    }
}

/// Why a command failed: what, where, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Failure(String);

type Outcome<T = ()> = Result<T, Failure>;

/// Prints to standard output. One that is closed is its reader's choice.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn print_line(line: &str) {
    print(&format!("{line}\n"));
}

/// For what waits for something.
fn runtime() -> Outcome<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(format!("cannot start a runtime: {error}")))
}

impl Failure {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}
