//! Command lines: daprd's flags, and the subcommands of `ottavo`.
//!
//! Called as `daprd`, or with `sidecar` as the first word, the program reads daprd's flags ([`sidecar`]). Otherwise it
//! has subcommands of its own ([`run`]).

pub mod flags;
#[cfg(feature = "wasm")]
pub mod function;
pub mod pflag;
pub mod run;
pub mod sidecar;
pub mod table;
pub mod wait;

use std::path::Path;

pub use flags::Flags;
pub use run::RunArgs;

use self::pflag::{Parsed, UsageError};
use crate::blocks::sidecar::RUNTIME_VERSION;
use crate::config::Environment;
use crate::telemetry::logging::LogOptions;

/// What to do.
#[derive(Debug)]
pub enum Command {
    /// Be a sidecar.
    Sidecar(Box<Flags>),
    /// Be a sidecar and run an application beside it.
    Run(Box<RunArgs>),
    /// Do something with a function.
    #[cfg(feature = "wasm")]
    Function(Box<function::Arguments>),
    /// Wait until the sidecar at this HTTP port is ready for calls from its application, then end with 0.
    Wait { http_port: u16 },
}

/// An end before anything has begun: what to print, and the exit code.
#[derive(Debug, Default)]
pub struct CliExit {
    pub stdout: String,
    pub stderr: String,
    /// A log line of level fatal on scope `dapr.runtime`, and how log lines look.
    pub fatal: Option<Box<(LogOptions, String)>>,
    pub code: u8,
}

impl CliExit {
    fn print(text: impl Into<String>) -> Self {
        Self { stdout: text.into(), ..Self::default() }
    }
}

/// Reads the command line. `argv0` is the name that the program was called by, `words` are the words behind it.
pub fn parse(argv0: &str, words: &[String], environment: &Environment) -> Result<Command, CliExit> {
    let program = Path::new(argv0).file_stem().unwrap_or_default();
    match words.split_first() {
        _ if program == "daprd" => sidecar_command(words, environment),
        Some((first, rest)) if first == "sidecar" => sidecar_command(rest, environment),
        _ => run::parse(words, environment),
    }
}

fn sidecar_command(words: &[String], environment: &Environment) -> Result<Command, CliExit> {
    let parsed = Parsed::parse(words).map_err(|error| match error {
        UsageError::Help => CliExit::print(table::usage()),
        // daprd says it twice: on standard output too.
        error => CliExit {
            stdout: format!("{error}\n"),
            stderr: format!("{error}\n{}", table::usage()),
            fatal: None,
            code: 2,
        },
    })?;
    if parsed.truth("version") {
        return Err(CliExit::print(format!("{RUNTIME_VERSION}\n")));
    }
    if parsed.truth("build-info") {
        let ours = env!("CARGO_PKG_VERSION");
        return Err(CliExit::print(format!(
            "Version: {RUNTIME_VERSION}\nGit Commit: ottavo-{ours}\nGit Version: v{RUNTIME_VERSION}\n"
        )));
    }
    if parsed.truth("wait") {
        // A port that is none can never be ready.
        return Ok(Command::Wait { http_port: parsed.text("dapr-http-port").parse().unwrap_or_default() });
    }
    match sidecar::flags(&parsed, environment) {
        Ok(flags) => Ok(Command::Sidecar(Box::new(flags))),
        Err(error) => Err(CliExit {
            fatal: Some(Box::new((fatal_options(&parsed, &error), error.log_line()))),
            stderr: parsed
                .deprecated()
                .map(|(flag, instead)| format!("Flag --{flag} has been deprecated, {instead}\n"))
                .collect(),
            code: 1,
            ..CliExit::default()
        }),
    }
}

/// How the one line looks: what daprd has applied of the log flags by then.
fn fatal_options(parsed: &Parsed, error: &sidecar::FlagError) -> LogOptions {
    use sidecar::FlagError::{DisseminateTimeout, LogLevel, Size};
    let mut options = LogOptions { version: RUNTIME_VERSION.to_owned(), ..LogOptions::default() };
    if !matches!(error, Size { .. } | DisseminateTimeout(_)) {
        options.app_id = parsed.text("app-id").to_owned();
        options.json = parsed.truth("log-as-json");
        if !matches!(error, LogLevel(_)) {
            options.file = Some(parsed.text("log-file")).filter(|path| !path.is_empty()).map(Into::into);
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(argv0: &str, words: &[&str]) -> Result<Command, CliExit> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        parse(argv0, &words, &Environment::default())
    }

    #[test]
    fn the_name_or_the_first_word_makes_a_sidecar() {
        for (argv0, words) in [("bin/daprd", &["-app-id", "x"][..]), ("ottavo", &["sidecar", "--app-id=x"])] {
            match parsed(argv0, words) {
                Ok(Command::Sidecar(flags)) => assert_eq!(flags.app_id, "x"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn versions_are_printed() {
        assert_eq!(parsed("daprd", &["--version"]).unwrap_err().stdout, "1.18.2\n");
        let exit = parsed("daprd", &["--build-info"]).unwrap_err();
        let heads: Vec<_> = exit.stdout.lines().map(|line| line.split_once(": ").unwrap().0).collect();
        assert_eq!(heads, ["Version", "Git Commit", "Git Version"]);
        let exit = parsed("ottavo", &["--version"]).unwrap_err();
        assert_eq!((exit.stdout.as_str(), exit.code), (concat!("ottavo ", env!("CARGO_PKG_VERSION"), "\n"), 0));
    }

    #[test]
    fn unknown_flags_end_with_2() {
        let exit = parsed("daprd", &["--nope"]).unwrap_err();
        assert_eq!((exit.code, exit.stdout.as_str()), (2, "unknown flag: --nope\n"));
        assert!(exit.stderr.starts_with("unknown flag: --nope\nUsage of daprd:\n"));
    }

    #[test]
    fn wrong_values_are_one_fatal_line() {
        let exit = parsed("daprd", &["--app-id", "a.b"]).unwrap_err();
        let (options, line) = *exit.fatal.unwrap();
        assert_eq!((exit.code, options.app_id.as_str()), (1, "a.b"));
        assert_eq!(line, "Fatal error from runtime: parameter app-id cannot contain dots");
    }

    #[test]
    fn wait_needs_only_a_port() {
        assert!(matches!(parsed("daprd", &["--wait", "--dapr-http-port", "81"]), Ok(Command::Wait { http_port: 81 })));
    }
}
