//! The program `ottavo`; called as `daprd`, a drop-in for Dapr's sidecar.

use std::io::Write;
use std::process::ExitCode;

use gateway::blocks::sidecar::RUNTIME_VERSION;
use gateway::cli::run::defaults;
use gateway::cli::{self, CliExit, Command, Flags};
use gateway::config::Environment;
use gateway::lifecycle::{self, Companion};
use gateway::telemetry::logging;
use gateway::workers::{self, Workers};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider of cryptography for the whole process; a second call is the only way to fail.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let (argv0, words) = words.split_first().map_or(("ottavo", &[][..]), |(first, rest)| (first.as_str(), rest));
    let code = match cli::parse(argv0, words, &Environment::of_process()) {
        Ok(Command::Sidecar(flags)) => start(*flags, Companion::default()),
        Ok(Command::Run(arguments)) => {
            let cli::RunArgs { flags, command, data_dir, reserved } = *arguments;
            match defaults::components(&data_dir, &[]) {
                Ok(components) => start(flags, Companion { components, command, reserved }),
                Err(error) => {
                    eprintln!(
                        "ottavo: cannot use {} for the data of the default components: {error}\n\
                         Choose another folder with --data-dir.",
                        data_dir.display()
                    );
                    1
                }
            }
        }
        #[cfg(feature = "wasm")]
        Ok(Command::Function(arguments)) => cli::function::run(*arguments),
        Ok(Command::Wait { http_port }) => {
            // daprd ends with 0 whether the sidecar came up or not.
            cli::wait::until_ready(http_port);
            0
        }
        Err(exit) => print(exit),
    };
    ExitCode::from(code)
}

/// Says why the program ends before it has begun.
fn print(exit: CliExit) -> u8 {
    // A closed standard output is the reader's choice.
    let _ = std::io::stdout().write_all(exit.stdout.as_bytes());
    let _ = std::io::stderr().write_all(exit.stderr.as_bytes());
    if let Some((options, line)) = exit.fatal.map(|fatal| *fatal) {
        match logging::init(&options) {
            Ok(logs) => {
                logging::fatal(&line);
                logs.flush();
            }
            Err(_) => eprintln!("{line}"),
        }
    }
    exit.code
}

/// Raises the soft limit of open files to the hard one, as programs in Go do: a sidecar holds a connection for each of
/// its application's, and the soft limit of many systems is 1024.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(soft, hard)| if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) });
    if let Err(error) = raised {
        tracing::warn!(target: "dapr.runtime", "Cannot raise the limit of open files: {error}");
    }
}

fn start(flags: Flags, companion: Companion) -> u8 {
    for notice in &flags.notices {
        eprintln!("{notice}");
    }
    let logs = match logging::init(&flags.log_options(RUNTIME_VERSION)) {
        Ok(logs) => logs,
        Err(error) => {
            eprintln!("ottavo: {error}");
            return 1;
        }
    };
    raise_open_files();
    let outcome = (|| {
        let count = workers::count(flags.environment.non_empty(workers::VARIABLE))?;
        let runtime = workers::single_threaded().map_err(|error| format!("cannot start the runtime: {error}"))?;
        let workers =
            Workers::start(&runtime, count).map_err(|error| format!("cannot start worker threads: {error}"))?;
        let outcome = runtime.block_on(lifecycle::run(flags, workers, companion)).map_err(|fatal| fatal.0);
        // What still runs has had its time.
        runtime.shutdown_timeout(std::time::Duration::from_millis(100));
        outcome
    })();
    let code = match outcome {
        Ok(exit) => exit.code(),
        Err(line) => {
            logging::fatal(&format!("Fatal error from runtime: {line}"));
            1
        }
    };
    logs.flush();
    code
}
