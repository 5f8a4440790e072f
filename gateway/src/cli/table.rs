//! Every flag of daprd 1.18.2 once, and the few of our own: name, kind, default, help.

use Kind::{Bool, Duration, Int, List, Text, Uint};

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Comma separated, and the flag may be repeated.
    List,
    Int,
    Uint,
    /// A value only in the form `--flag=value`.
    Bool,
    /// In Go's syntax.
    Duration,
}

/// One flag.
#[derive(Debug)]
pub struct Flag {
    pub name: &'static str,
    pub kind: Kind,
    /// As it would be written; empty for none.
    pub default: &'static str,
    pub help: &'static str,
    /// What to use in its place; such a flag is not listed in the help.
    pub deprecated: Option<&'static str>,
}

const fn flag(name: &'static str, kind: Kind, default: &'static str, help: &'static str) -> Flag {
    Flag { name, kind, default, help, deprecated: None }
}

const fn old(name: &'static str, kind: Kind, default: &'static str, instead: &'static str) -> Flag {
    Flag { name, kind, default, help: "", deprecated: Some(instead) }
}

/// In alphabetical order, as the help lists them.
pub const FLAGS: &[Flag] = &[
    flag("actors-disseminate-timeout", Duration, "30s", "How long a round of actor placement may take"),
    old("actors-service", Text, "", "flag no longer has any effect"),
    flag("allowed-origins", Text, "", "Origins that browsers may call from, comma separated; * for all"),
    flag("app-channel-address", Text, "127.0.0.1", "Host that the application listens on"),
    flag("app-health-check-path", Text, "/healthz", "Path of the application's health check (HTTP)"),
    flag("app-health-probe-interval", Int, "5", "Seconds between health checks of the application"),
    flag("app-health-probe-timeout", Int, "500", "Milliseconds that a health check may take"),
    flag("app-health-threshold", Int, "3", "Failed checks until the application counts as unhealthy"),
    flag("app-id", Text, "", "Name of the application, by which others find it"),
    flag("app-max-concurrency", Int, "-1", "Calls into the application at one time; -1 for no limit"),
    flag("app-port", Text, "", "Port that the application listens on"),
    flag("app-protocol", Text, "http", "How the application is called: http, https, h2c, grpc or grpcs"),
    old("app-ssl", Bool, "false", "use '--app-protocol https|grpcs'"),
    flag("build-info", Bool, "false", "Print how the program was built"),
    old("components-path", Text, "", "use --resources-path"),
    flag("config", List, "", "Configuration files, each over the one before"),
    flag("control-plane-address", Text, "", "Address of the control plane"),
    flag("control-plane-namespace", Text, "default", "Namespace of the control plane"),
    flag("control-plane-trust-domain", Text, "localhost", "Trust domain of the control plane"),
    flag(
        "dapr-block-shutdown-duration",
        Duration,
        "0s",
        "Keep working for this time after a signal, or until the application is unhealthy",
    ),
    flag("dapr-graceful-shutdown-seconds", Int, "5", "Seconds that a shutdown may take"),
    flag("dapr-grpc-port", Text, "50001", "Port of the gRPC API"),
    old("dapr-http-max-request-size", Int, "4", "use '--max-body-size 4Mi'"),
    flag("dapr-http-port", Text, "3500", "Port of the HTTP API"),
    old("dapr-http-read-buffer-size", Int, "4", "use '--read-buffer-size 4Ki'"),
    flag("dapr-internal-grpc-listen-address", Text, "", "Address for calls from other sidecars"),
    flag("dapr-internal-grpc-port", Text, "", "Port for calls from other sidecars"),
    flag("dapr-listen-addresses", Text, "", "Addresses of the APIs, comma separated; empty for all"),
    flag("dapr-public-listen-address", Text, "", "Address of the public server"),
    flag("dapr-public-port", Text, "", "Port for health and metadata without the API"),
    flag("disable-builtin-k8s-secret-store", Bool, "false", "Do without the Kubernetes secret store"),
    flag("disable-init-endpoints", List, "", "Do not ask the application: config, subscribe"),
    flag("enable-api-logging", Bool, "false", "Log every call of the API"),
    flag("enable-app-health-check", Bool, "false", "Check the application's health"),
    flag("enable-metrics", Bool, "true", "Serve metrics for Prometheus"),
    flag("enable-mtls", Bool, "false", "Mutual TLS between sidecars"),
    flag("enable-profiling", Bool, "false", "Serve profiles"),
    flag("functions-admin-listen-address", Text, "127.0.0.1", "Address for managing functions"),
    flag("functions-admin-port", Text, "", "Port for managing functions: install, update, uninstall, list"),
    flag("functions-admin-socket", Text, "", "Unix socket for managing functions, for this user alone"),
    flag("functions-listen-address", Text, "", "Address for calls of functions; empty: those of the APIs"),
    flag("functions-port", Text, "", "Port for calls of functions"),
    flag("functions-state", Text, "", "Folder in which installed functions outlive a restart"),
    flag("hot-reload-reconcile-interval", Duration, "0s", "How often all resources are looked at again; 0 for 60s"),
    flag("log-as-json", Bool, "false", "Log lines as JSON"),
    flag("log-file", Text, "", "File for log lines, in place of standard output"),
    flag("log-level", Text, "info", "debug, info, warn, error or fatal"),
    flag("max-body-size", Text, "4Mi", "Largest body of a request, such as 16Mi; 0 for no limit"),
    flag("metrics-listen-address", Text, "0.0.0.0", "Address of the metrics server"),
    flag("metrics-port", Text, "9090", "Port of the metrics server"),
    flag("mode", Text, "standalone", "standalone or kubernetes"),
    flag("placement-host-address", Text, "", "Addresses of the placement service, comma separated"),
    flag("profile-port", Text, "7777", "Port of the profile server"),
    flag("read-buffer-size", Text, "4Ki", "Largest head of a request, such as 16Ki"),
    old("reminders-service", Text, "", "flag no longer has any effect"),
    flag("resources-path", List, "", "Folders with resources"),
    flag("scheduler-host-address", List, "", "Addresses of the scheduler service"),
    flag("scheduler-job-streams", Uint, "3", "Streams of jobs from the scheduler service"),
    flag("sentry-address", Text, "", "Address of the certificate authority"),
    flag("sentry-request-jwt-audiences", List, "", "Audiences of tokens in certificate requests"),
    flag("unix-domain-socket", Text, "", "Folder for sockets of the APIs, in place of ports"),
    flag("version", Bool, "false", "Print the version"),
    flag("wait", Bool, "false", "Wait until a sidecar is ready for calls from its application"),
];

/// The flag called `name`.
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

/// The help: every flag that is not deprecated.
pub fn usage() -> String {
    let width = FLAGS.iter().map(|flag| flag.name.len() + 1 + kind_name(flag.kind).len()).max().unwrap_or(0);
    let mut text = String::from("Usage of daprd:\n");
    for flag in FLAGS.iter().filter(|flag| flag.deprecated.is_none()) {
        let head = format!("{} {}", flag.name, kind_name(flag.kind));
        let default = match (flag.kind, flag.default) {
            (_, "" | "0s" | "false") => String::new(),
            (Text, default) => format!(" (default {default:?})"),
            (_, default) => format!(" (default {default})"),
        };
        text.push_str(format!("      --{head:width$}   {}{default}", flag.help).trim_end());
        text.push('\n');
    }
    text
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Text => "string",
        List => "strings",
        Int => "int",
        Uint => "uint",
        Duration => "duration",
        Bool => "",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = FLAGS.iter().map(|flag| flag.name).collect();
        assert_eq!(names.len(), FLAGS.len());
        assert!(FLAGS.is_sorted_by_key(|flag| flag.name));
    }

    #[test]
    fn the_help_shows_kinds_and_defaults() {
        let usage = usage();
        assert!(usage.starts_with("Usage of daprd:\n      --actors-disseminate-timeout duration "));
        assert!(usage.contains("(default \"3500\")"));
        assert!(!usage.contains("components-path"));
    }
}
