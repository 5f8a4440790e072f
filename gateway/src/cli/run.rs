//! `ottavo run -- COMMAND`: an application with a sidecar beside it, for one machine and no set-up.

pub mod child;
pub mod defaults;

use std::net::Ipv4Addr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand};

use super::flags::Flags;
use super::pflag::Parsed;
use super::{CliExit, Command, sidecar};
use crate::config::Environment;
use crate::server::Reserved;

/// An application and the sidecar beside it.
#[derive(Debug)]
pub struct RunArgs {
    /// The sidecar's flags: on loopback, ports chosen, resources found.
    pub flags: Flags,
    /// The application's program and its arguments; empty for a sidecar alone.
    pub command: Vec<String>,
    /// Where the default components keep their data; see [`defaults`].
    pub data_dir: PathBuf,
    /// The ports that were chosen, not given.
    pub reserved: Reserved,
}

/// State, pub/sub, invocation and more beside your application, through the Dapr API.
#[derive(Debug, Parser)]
#[command(
    name = "ottavo",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Debug, Subcommand)]
enum Subcommands {
    /// Run an application with a sidecar beside it
    #[command(after_help = RUN_NOTES)]
    Run(Options),
    /// Write, build, try and deploy functions (WebAssembly)
    #[cfg(feature = "wasm")]
    Function(super::function::Arguments),
    /// Be a sidecar, with daprd's flags (as when called by the name daprd)
    #[command(disable_help_flag = true)]
    Sidecar {
        /// Flags of daprd; `ottavo sidecar --help` lists them
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FLAGS")]
        flags: Vec<String>,
    },
}

const RUN_NOTES: &str = "\
The application finds the sidecar by DAPR_HTTP_PORT and DAPR_GRPC_PORT, which every Dapr SDK reads.
There are a state store `statestore`, a broker `pubsub` and the secret stores `secretstore` and
`envsecrets`, until resources of these names replace them.

Examples:
  ottavo run -- python3 app.py
  ottavo run --app-port 8080 -- node server.js
  ottavo run --app-id shop --app-port 5001 --app-protocol grpc --resources-path ./deploy -- ./shop";

#[derive(Debug, Args)]
struct Options {
    /// Name of the application, by which others find it [default: the folder's name]
    #[arg(long, help_heading = "Application", value_name = "NAME")]
    app_id: Option<String>,
    /// Port that the application listens on; leave it out if it only calls
    #[arg(long, help_heading = "Application", short = 'p', value_name = "PORT")]
    app_port: Option<u16>,
    /// How the application is called: http, https, h2c, grpc or grpcs
    #[arg(long, help_heading = "Application", value_name = "PROTOCOL", default_value = "http")]
    app_protocol: String,
    /// Calls into the application at one time [default: no limit]
    #[arg(long, help_heading = "Application", value_name = "COUNT")]
    app_max_concurrency: Option<u32>,
    /// Check the application's health at this path, and hold back calls while it is not healthy
    #[arg(long, help_heading = "Application", value_name = "PATH")]
    app_health_check_path: Option<String>,
    /// Port of the HTTP API [default: 3500, or a free one]
    #[arg(long, help_heading = "Sidecar", short = 'H', alias = "dapr-http-port", value_name = "PORT")]
    http_port: Option<u16>,
    /// Port of the gRPC API [default: 50001, or a free one]
    #[arg(long, help_heading = "Sidecar", short = 'G', alias = "dapr-grpc-port", value_name = "PORT")]
    grpc_port: Option<u16>,
    /// Port of the metrics page [default: 9090, or a free one]
    #[arg(long, help_heading = "Sidecar", short = 'M', value_name = "PORT")]
    metrics_port: Option<u16>,
    /// Port for calls of functions [default: a free one, if there are functions]
    #[arg(long, help_heading = "Sidecar", value_name = "PORT")]
    functions_port: Option<u16>,
    /// Port for managing functions: install, update, uninstall, list [default: none]
    #[arg(long, help_heading = "Sidecar", value_name = "PORT")]
    functions_admin_port: Option<u16>,
    /// Unix socket for managing functions, for this user alone [default: none]
    #[arg(long, help_heading = "Sidecar", value_name = "PATH")]
    functions_admin_socket: Option<PathBuf>,
    /// Folder with resources; may be repeated [default: ./resources, if it is there]
    #[arg(long, help_heading = "Resources and data", short = 'd', value_name = "FOLDER")]
    resources_path: Vec<PathBuf>,
    /// Configuration file; may be repeated, each over the one before
    #[arg(long, help_heading = "Resources and data", short = 'c', value_name = "FILE")]
    config: Vec<PathBuf>,
    /// Folder for the data of the default components [default: ~/.local/state/ottavo]
    #[arg(long, help_heading = "Resources and data", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Largest body of a request, such as 16Mi
    #[arg(long, help_heading = "Sidecar", value_name = "SIZE", default_value = "4Mi")]
    max_body_size: String,
    /// Log every call of the API
    #[arg(long, help_heading = "Sidecar")]
    enable_api_logging: bool,
    /// Least severe log lines of the sidecar: debug, info, warn, error or fatal
    #[arg(long, help_heading = "Sidecar", value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// Log lines of the sidecar as JSON
    #[arg(long, help_heading = "Sidecar")]
    log_as_json: bool,
    /// The application's program and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Reads the words behind `ottavo`.
pub fn parse(words: &[String], environment: &Environment) -> Result<Command, CliExit> {
    let words = std::iter::once("ottavo").chain(words.iter().map(String::as_str));
    let cli = Cli::try_parse_from(words).map_err(|error| {
        let text = error.render().to_string();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => CliExit { stdout: text, ..CliExit::default() },
            _ => CliExit { stderr: text, code: 2, ..CliExit::default() },
        }
    })?;
    match cli.command {
        Subcommands::Run(options) => options.into_command(environment),
        #[cfg(feature = "wasm")]
        Subcommands::Function(arguments) => Ok(Command::Function(Box::new(arguments))),
        Subcommands::Sidecar { flags } => super::sidecar_command(&flags, environment),
    }
}

impl Options {
    fn into_command(self, environment: &Environment) -> Result<Command, CliExit> {
        let refuse = |message: String| CliExit { stderr: format!("error: {message}\n"), code: 2, ..CliExit::default() };
        let Some(data_dir) = self.data_dir.clone().or_else(|| defaults::data_dir(environment)) else {
            return Err(refuse("there is no folder for data: set HOME, or give --data-dir".to_owned()));
        };
        let mut reserved = Reserved::default();
        let words = self.words(&mut reserved).map_err(refuse)?;
        // Our own words: they are well formed, and an error still has a text.
        let parsed = Parsed::parse(&words).map_err(|error| refuse(error.to_string()))?;
        let mut flags = sidecar::flags(&parsed, environment).map_err(|error| refuse(error.to_string()))?;
        flags.functions.finds_port = true;
        flags.functions.state = Some(data_dir.join("functions"));
        Ok(Command::Run(Box::new(RunArgs { flags, command: self.command, data_dir, reserved })))
    }

    /// The same in daprd's flags.
    fn words(&self, reserved: &mut Reserved) -> Result<Vec<String>, String> {
        let mut words = Vec::new();
        let mut add = |name: &str, value: String| words.push(format!("--{name}={value}"));
        let app_id = match &self.app_id {
            Some(app_id) => app_id.clone(),
            None => folder_app_id(),
        };
        add("app-id", app_id);
        add("app-protocol", self.app_protocol.clone());
        add("app-max-concurrency", self.app_max_concurrency.map_or("-1".to_owned(), |limit| limit.to_string()));
        if let Some(port) = self.app_port {
            add("app-port", port.to_string());
        }
        if let Some(path) = &self.app_health_check_path {
            add("enable-app-health-check", "true".to_owned());
            add("app-health-check-path", path.clone());
        }
        let none = |name: &str, error: &std::io::Error| format!("there is no free port for --{name}: {error}");
        for (name, given, usual) in [
            ("dapr-http-port", self.http_port, 3500),
            ("dapr-grpc-port", self.grpc_port, 50001),
            ("metrics-port", self.metrics_port, 9090),
        ] {
            let port = match given {
                Some(port) => port,
                // The application listens on its own later.
                None if self.app_port == Some(usual) => reserved.reserve(0).map_err(|error| none(name, &error))?,
                None => reserved.reserve(usual).map_err(|error| none(name, &error))?,
            };
            add(name, port.to_string());
        }
        for name in [
            "dapr-listen-addresses",
            "dapr-internal-grpc-listen-address",
            "dapr-public-listen-address",
            "metrics-listen-address",
        ] {
            add(name, Ipv4Addr::LOCALHOST.to_string());
        }
        for (name, port) in
            [("functions-port", self.functions_port), ("functions-admin-port", self.functions_admin_port)]
        {
            if let Some(port) = port {
                add(name, port.to_string());
            }
        }
        if let Some(path) = &self.functions_admin_socket {
            add("functions-admin-socket", path.to_string_lossy().into_owned());
        }
        for folder in self.resources() {
            add("resources-path", quoted(&folder.to_string_lossy()));
        }
        for file in &self.config {
            add("config", quoted(&file.to_string_lossy()));
        }
        add("max-body-size", self.max_body_size.clone());
        if self.enable_api_logging {
            add("enable-api-logging", "true".to_owned());
        }
        add("log-level", self.log_level.clone());
        add("log-as-json", self.log_as_json.to_string());
        Ok(words)
    }

    fn resources(&self) -> Vec<PathBuf> {
        if !self.resources_path.is_empty() {
            return self.resources_path.clone();
        }
        let usual = PathBuf::from("resources");
        if usual.is_dir() { vec![usual] } else { Vec::new() }
    }
}

/// A path as one field of a comma separated list.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('"', "\"\""))
}

/// The current folder's name as an app id.
fn folder_app_id() -> String {
    let folder = std::env::current_dir().ok();
    let name = folder.as_ref().and_then(|folder| folder.file_name()).unwrap_or_default().to_string_lossy();
    valid_app_id(&name)
}

/// `name` in lower case, with dashes for what an app id cannot have; `app` when nothing is left.
fn valid_app_id(name: &str) -> String {
    let mut id = String::new();
    for c in name.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            id.push(c);
        } else if !id.is_empty() && !id.ends_with('-') {
            id.push('-');
        }
    }
    id.truncate(63);
    let id = id.trim_end_matches('-');
    if id.is_empty() { "app".to_owned() } else { id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(words: &[&str]) -> Result<RunArgs, CliExit> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        match parse(&words, &Environment::new([("HOME", "/home/me")]))? {
            Command::Run(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_is_behind_two_dashes() {
        let args = run(&["run", "--app-id", "shop", "-p", "8080", "--", "node", "--inspect", "a.js"]).unwrap();
        assert_eq!(args.command, ["node", "--inspect", "a.js"]);
        assert_eq!((args.flags.app_id.as_str(), args.flags.app_port), ("shop", Some(8080)));
        assert_eq!(args.flags.listen_addresses, ["127.0.0.1"]);
        assert_eq!(args.data_dir, PathBuf::from("/home/me/.local/state/ottavo"));
    }

    #[test]
    fn ports_differ() {
        let flags = run(&["run", "--app-id", "shop"]).unwrap().flags;
        assert_ne!(flags.http_port, flags.grpc_port);
        assert_ne!(flags.http_port, flags.metrics.port);
    }

    #[test]
    fn folder_names_become_app_ids() {
        for (name, id) in
            [("My App.v2", "my-app-v2"), ("shop", "shop"), ("...", "app"), ("-a-", "a"), ("Ünter", "nter")]
        {
            assert_eq!(valid_app_id(name), id);
        }
    }

    #[test]
    fn wrong_values_are_usage_errors() {
        let exit = run(&["run", "--app-id", "a.b"]).unwrap_err();
        assert_eq!((exit.code, exit.stderr.as_str()), (2, "error: parameter app-id cannot contain dots\n"));
        assert_eq!(run(&["run", "--nope"]).unwrap_err().code, 2);
        assert_eq!(run(&[]).unwrap_err().code, 2);
    }

    #[test]
    fn help_names_the_subcommands() {
        let exit = run(&["--help"]).unwrap_err();
        assert!(exit.code == 0 && exit.stdout.contains("run") && exit.stdout.contains("sidecar"), "{}", exit.stdout);
        assert!(run(&["run", "--help"]).unwrap_err().stdout.contains("--app-port"));
    }

    #[test]
    fn paths_with_commas_stay_whole() {
        let args = run(&["run", "--app-id", "a", "--resources-path", "x,y", "--config", "a\"b"]).unwrap();
        assert_eq!(args.flags.resources_path, [PathBuf::from("x,y")]);
        assert_eq!(args.flags.config, ["a\"b"]);
    }
}
