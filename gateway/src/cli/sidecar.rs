//! From daprd's command line and environment to [`Flags`], with daprd's own checks.

use std::path::PathBuf;
use std::time::Duration;

use components::metadata::Secret;

use super::flags::{AppHealth, AppProtocol, Flags, FunctionsFlags, LogFlags, MetricsFlags, Mode};
use super::pflag::{NumberFault, Parsed, go_number_error};
use crate::config::quantity::{QuantityError, parse_bytes};
use crate::config::{Environment, GoDuration};

/// Why the sidecar does not start with these flags. Texts are daprd's; [`FlagError::log_line`] gives the whole line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    #[error("invalid value for '{flag}' option: {source}")]
    Size { flag: &'static str, source: QuantityError },
    #[error("invalid value for 'actors-disseminate-timeout' option: must be positive, got {0}")]
    DisseminateTimeout(GoDuration),
    #[error("invalid value for --log-level: {0}")]
    LogLevel(String),
    #[error("parameter app-id cannot be empty")]
    NoAppId,
    #[error("parameter app-id cannot contain dots")]
    DottedAppId,
    #[error("error parsing {flag}: {reason}")]
    Port { flag: &'static str, reason: String },
    #[error("the '{flag}' argument value {port} conflicts with 'app-port'")]
    PortConflict { flag: &'static str, port: u16 },
    #[error("invalid value for 'app-protocol': {0}")]
    AppProtocol(String),
    #[error("invalid value for 'disable-init-endpoints': {0}")]
    InitEndpoint(String),
    #[error("value for 'health-probe-timeout' must be smaller than 'health-probe-interval'")]
    HealthTimeout,
    #[error("invalid mode: {0}")]
    Mode(String),
}

impl FlagError {
    /// The message of the fatal log line.
    pub fn log_line(&self) -> String {
        match self {
            Self::Size { .. } | Self::DisseminateTimeout(_) => format!("Failed to parse flags: {self}"),
            Self::LogLevel(_) => self.to_string(),
            _ => format!("Fatal error from runtime: {self}"),
        }
    }
}

const DEFAULT_BODY: usize = 4 << 20;
const DEFAULT_HEAD: usize = 4 << 10;

/// Checks what the command line says, in daprd's order.
pub fn flags(parsed: &Parsed, environment: &Environment) -> Result<Flags, FlagError> {
    let max_body_size = size(parsed, "max-body-size", ("dapr-http-max-request-size", 20), DEFAULT_BODY)?;
    let read_buffer_size = size(parsed, "read-buffer-size", ("dapr-http-read-buffer-size", 10), DEFAULT_HEAD)?;
    let disseminate = parsed.duration("actors-disseminate-timeout");
    let Some(disseminate) = disseminate.to_std().filter(|timeout| !timeout.is_zero()) else {
        return Err(FlagError::DisseminateTimeout(disseminate));
    };
    let log_level = parsed.text("log-level");
    let level = log_level.parse().map_err(|_| FlagError::LogLevel(log_level.to_owned()))?;

    let mode = parsed.text("mode");
    let app_id = parsed.text("app-id");
    if mode != "kubernetes" && app_id.is_empty() {
        return Err(FlagError::NoAppId);
    }
    if mode != "kubernetes" && app_id.contains('.') {
        return Err(FlagError::DottedAppId);
    }
    let http_port = port(parsed, "dapr-http-port", "dapr-http-port flag")?.unwrap_or_default();
    let grpc_port = port(parsed, "dapr-grpc-port", "dapr-grpc-port flag")?.unwrap_or_default();
    let profile_port = port(parsed, "profile-port", "profile-port flag")?;
    let internal_grpc_port = optional_port(parsed, "dapr-internal-grpc-port")?.filter(|port| *port != 0);
    let public_port = optional_port(parsed, "dapr-public-port")?;
    let app_port = optional_port(parsed, "app-port")?.unwrap_or_default();
    for (flag, port) in [("dapr-http-port", http_port), ("dapr-grpc-port", grpc_port)] {
        if port == app_port {
            return Err(FlagError::PortConflict { flag, port });
        }
    }
    let app_protocol = app_protocol(parsed.text("app-protocol"), parsed.truth("app-ssl"))?;
    let silenced = init_endpoints(&parsed.list("disable-init-endpoints"))?;
    let app_health = app_health(parsed)?;
    let mode = match mode {
        "standalone" => Mode::Standalone,
        "kubernetes" => Mode::Kubernetes,
        other => return Err(FlagError::Mode(other.to_owned())),
    };
    let metrics_port = port(parsed, "metrics-port", "metrics-port flag")?.unwrap_or_default();

    Ok(Flags {
        mode,
        app_id: app_id.to_owned(),
        app_port: (app_port != 0).then_some(app_port),
        app_protocol,
        app_channel_address: parsed.text("app-channel-address").to_owned(),
        app_max_concurrency: usize::try_from(parsed.int("app-max-concurrency")).ok().filter(|limit| *limit > 0),
        http_port,
        grpc_port,
        internal_grpc_port,
        internal_grpc_listen_address: parsed.text("dapr-internal-grpc-listen-address").to_owned(),
        listen_addresses: parsed.text("dapr-listen-addresses").split(',').map(str::to_owned).collect(),
        public_port,
        public_listen_address: parsed.text("dapr-public-listen-address").to_owned(),
        profile_port,
        enable_profiling: parsed.truth("enable-profiling"),
        unix_domain_socket: path(parsed, "unix-domain-socket"),
        max_body_size,
        read_buffer_size,
        resources_path: resources_path(parsed),
        config: parsed.list("config"),
        control_plane_address: parsed.text("control-plane-address").to_owned(),
        control_plane_trust_domain: or_variable(
            parsed,
            "control-plane-trust-domain",
            environment,
            "DAPR_CONTROLPLANE_TRUST_DOMAIN",
        ),
        control_plane_namespace: or_variable(
            parsed,
            "control-plane-namespace",
            environment,
            "DAPR_CONTROLPLANE_NAMESPACE",
        ),
        sentry_address: parsed.text("sentry-address").to_owned(),
        sentry_request_jwt_audiences: parsed.list("sentry-request-jwt-audiences"),
        enable_mtls: parsed.truth("enable-mtls"),
        trust_anchors: environment.non_empty("DAPR_TRUST_ANCHORS").map(str::to_owned),
        allowed_origins: parsed.text("allowed-origins").to_owned(),
        enable_api_logging: parsed.is_given("enable-api-logging").then(|| parsed.truth("enable-api-logging")),
        disable_builtin_k8s_secret_store: parsed.truth("disable-builtin-k8s-secret-store"),
        app_health,
        app_health_check_path: with_slash(parsed.text("app-health-check-path")),
        graceful_shutdown: graceful_shutdown(parsed.int("dapr-graceful-shutdown-seconds")),
        block_shutdown: parsed
            .is_given("dapr-block-shutdown-duration")
            .then(|| parsed.duration("dapr-block-shutdown-duration").to_std().unwrap_or_default()),
        asks_app_config: !silenced.contains(&"config"),
        asks_app_subscriptions: !silenced.contains(&"subscribe"),
        placement_addresses: placement_addresses(parsed),
        scheduler_addresses: scheduler_addresses(parsed, environment),
        scheduler_job_streams: u32::try_from(parsed.int("scheduler-job-streams")).unwrap_or(u32::MAX),
        actors_disseminate_timeout: disseminate,
        hot_reload_reconcile_interval: parsed
            .duration("hot-reload-reconcile-interval")
            .to_std()
            .filter(|interval| !interval.is_zero())
            .unwrap_or(Duration::from_secs(60)),
        log: LogFlags {
            level,
            level_text: log_level.to_owned(),
            json: parsed.truth("log-as-json"),
            file: path(parsed, "log-file"),
        },
        metrics: MetricsFlags {
            enabled: parsed.truth("enable-metrics"),
            port: metrics_port,
            listen_address: parsed.text("metrics-listen-address").to_owned(),
        },
        functions: FunctionsFlags {
            port: own_port(parsed, "functions-port", environment, "OTTAVO_FUNCTIONS_PORT")?,
            listen_address: parsed.text("functions-listen-address").to_owned(),
            admin_port: own_port(parsed, "functions-admin-port", environment, "OTTAVO_FUNCTIONS_ADMIN_PORT")?,
            admin_listen_address: parsed.text("functions-admin-listen-address").to_owned(),
            admin_socket: path(parsed, "functions-admin-socket")
                .or_else(|| environment.non_empty("OTTAVO_FUNCTIONS_ADMIN_SOCKET").map(PathBuf::from)),
            state: path(parsed, "functions-state"),
            finds_port: false,
        },
        api_token: environment.non_empty("DAPR_API_TOKEN").map(Secret::new),
        app_token: environment.non_empty("APP_API_TOKEN").map(Secret::new),
        environment: environment.clone(),
        notices: parsed
            .deprecated()
            .map(|(flag, instead)| format!("Flag --{flag} has been deprecated, {instead}"))
            .collect(),
    })
}

/// A size from its flag, or from the deprecated one in larger units (`1 << shift` bytes).
fn size(parsed: &Parsed, flag: &'static str, (old, shift): (&str, u32), default: usize) -> Result<usize, FlagError> {
    let bytes = if parsed.is_given(flag) {
        parse_bytes(parsed.text(flag)).map_err(|source| FlagError::Size { flag, source })?
    } else if parsed.is_given(old) {
        match parsed.int(old) {
            units if units > 0 => units.checked_shl(shift).filter(|bytes| *bytes > 0).unwrap_or(i64::MAX),
            units => units,
        }
    } else {
        return Ok(default);
    };
    // Negative sizes mean the default.
    Ok(usize::try_from(bytes).unwrap_or(default))
}

/// A port; negative numbers mean none.
fn port(parsed: &Parsed, flag: &'static str, name: &'static str) -> Result<Option<u16>, FlagError> {
    let text = parsed.text(flag);
    let failed = |fault| FlagError::Port { flag: name, reason: go_number_error("Atoi", text, fault) };
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Ok(None),
        Ok(number) => u16::try_from(number).map(Some).map_err(|_| failed(NumberFault::Range)),
        Err(_) => Err(failed(NumberFault::Syntax)),
    }
}

/// A port that need not be given.
fn optional_port(parsed: &Parsed, flag: &'static str) -> Result<Option<u16>, FlagError> {
    if parsed.text(flag).is_empty() { Ok(None) } else { port(parsed, flag, flag) }
}

/// A port of our own, from its flag or its variable.
fn own_port(
    parsed: &Parsed,
    flag: &'static str,
    environment: &Environment,
    variable: &'static str,
) -> Result<Option<u16>, FlagError> {
    let given = parsed.text(flag);
    let (name, text) = match environment.non_empty(variable) {
        Some(text) if given.is_empty() => (variable, text),
        _ => (flag, given),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let failed = |reason: String| FlagError::Port { flag: name, reason };
    text.parse::<u16>().map(Some).map_err(|error| failed(format!("'{text}' is no port: {error}")))
}

fn app_protocol(text: &str, ssl: bool) -> Result<AppProtocol, FlagError> {
    match text.to_lowercase().as_str() {
        "http" if ssl => Ok(AppProtocol::Https),
        "grpc" if ssl => Ok(AppProtocol::Grpcs),
        "" | "http" => Ok(AppProtocol::Http),
        "https" => Ok(AppProtocol::Https),
        "h2c" => Ok(AppProtocol::H2c),
        "grpc" => Ok(AppProtocol::Grpc),
        "grpcs" => Ok(AppProtocol::Grpcs),
        _ => Err(FlagError::AppProtocol(text.to_owned())),
    }
}

fn init_endpoints(given: &[String]) -> Result<Vec<&'static str>, FlagError> {
    given
        .iter()
        .map(|endpoint| endpoint.trim().to_lowercase())
        .filter(|endpoint| !endpoint.is_empty())
        .map(|endpoint| match endpoint.as_str() {
            "config" => Ok("config"),
            "subscribe" => Ok("subscribe"),
            _ => Err(FlagError::InitEndpoint(endpoint)),
        })
        .collect()
}

fn app_health(parsed: &Parsed) -> Result<Option<AppHealth>, FlagError> {
    let positive = |flag| u64::try_from(parsed.int(flag)).ok().filter(|value| *value > 0);
    let interval = Duration::from_secs(positive("app-health-probe-interval").unwrap_or(5));
    let timeout = Duration::from_millis(positive("app-health-probe-timeout").unwrap_or(500));
    if timeout > interval {
        return Err(FlagError::HealthTimeout);
    }
    let threshold = positive("app-health-threshold").and_then(|value| u32::try_from(value).ok()).unwrap_or(3);
    Ok(parsed.truth("enable-app-health-check").then_some(AppHealth { interval, timeout, threshold }))
}

fn graceful_shutdown(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(5))
}

fn with_slash(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn path(parsed: &Parsed, flag: &str) -> Option<PathBuf> {
    Some(parsed.text(flag)).filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn resources_path(parsed: &Parsed) -> Vec<PathBuf> {
    let paths = parsed.list("resources-path");
    if paths.is_empty() {
        path(parsed, "components-path").into_iter().collect()
    } else {
        paths.into_iter().map(PathBuf::from).collect()
    }
}

/// A flag's value, else the variable's (even an empty one), else the default.
fn or_variable(parsed: &Parsed, flag: &str, environment: &Environment, variable: &str) -> String {
    let from_environment = environment.get(variable).filter(|_| !parsed.is_given(flag));
    from_environment.unwrap_or_else(|| parsed.text(flag)).to_owned()
}

fn placement_addresses(parsed: &Parsed) -> Vec<String> {
    let given = parsed.text("placement-host-address");
    // The deprecated flag has the form type:addresses.
    let old = parsed.text("actors-service").strip_prefix("placement:").unwrap_or_default();
    let text = if given.is_empty() { old } else { given };
    addresses(text.split(','))
}

fn scheduler_addresses(parsed: &Parsed, environment: &Environment) -> Vec<String> {
    if parsed.is_given("scheduler-host-address") {
        return addresses(parsed.list("scheduler-host-address").iter().map(String::as_str));
    }
    addresses(environment.get("DAPR_SCHEDULER_HOST_ADDRESS_DNS_A").unwrap_or_default().split(','))
}

/// Addresses without those that only stand for none: blanks and quotes, in any nesting.
fn addresses<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let is_blank = |text: &str| text.chars().all(|c| c.is_whitespace() || matches!(c, '"' | '\''));
    texts.map(str::trim).filter(|text| !is_blank(text)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str], environment: &Environment) -> Result<Flags, FlagError> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        flags(&Parsed::parse(&words).unwrap(), environment)
    }

    fn started(words: &[&str]) -> Flags {
        let mut all = vec!["--app-id", "shop"];
        all.extend(words);
        parse(&all, &Environment::default()).unwrap()
    }

    #[test]
    fn defaults_are_daprds() {
        let flags = started(&[]);
        assert_eq!((flags.http_port, flags.grpc_port, flags.metrics.port), (3500, 50001, 9090));
        assert_eq!((flags.max_body_size, flags.read_buffer_size), (4 << 20, 4 << 10));
        assert_eq!((flags.app_port, flags.internal_grpc_port, flags.public_port), (None, None, None));
        assert_eq!(flags.app_protocol, AppProtocol::Http);
        assert_eq!(flags.listen_addresses, [""]);
        assert_eq!(flags.graceful_shutdown, Duration::from_secs(5));
        assert_eq!((flags.block_shutdown, flags.enable_api_logging, flags.app_health), (None, None, None));
        assert_eq!(flags.actors_disseminate_timeout, Duration::from_secs(30));
        assert!(flags.metrics.enabled && flags.asks_app_config && flags.placement_addresses.is_empty());
    }

    #[test]
    fn errors_are_daprds() {
        for (words, line) in [
            (
                &["--max-body-size", "huge"][..],
                "Failed to parse flags: invalid value for 'max-body-size' option: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
            ),
            (
                &["--actors-disseminate-timeout", "0s"],
                "Failed to parse flags: invalid value for 'actors-disseminate-timeout' option: must be positive, got 0s",
            ),
            (&["--log-level", "z"], "invalid value for --log-level: z"),
            (&[], "Fatal error from runtime: parameter app-id cannot be empty"),
            (&["--app-id", "a.b"], "Fatal error from runtime: parameter app-id cannot contain dots"),
            (
                &["--app-id", "x", "--dapr-http-port", "y"],
                "Fatal error from runtime: error parsing dapr-http-port flag: strconv.Atoi: parsing \"y\": invalid syntax",
            ),
            (
                &["--app-id", "x", "--app-port", "3500"],
                "Fatal error from runtime: the 'dapr-http-port' argument value 3500 conflicts with 'app-port'",
            ),
            (
                &["--app-id", "x", "--app-protocol", "foo"],
                "Fatal error from runtime: invalid value for 'app-protocol': foo",
            ),
            (
                &["--app-id", "x", "--disable-init-endpoints", "other"],
                "Fatal error from runtime: invalid value for 'disable-init-endpoints': other",
            ),
            (
                &["--app-id", "x", "--app-health-probe-interval", "1", "--app-health-probe-timeout", "2000"],
                "Fatal error from runtime: value for 'health-probe-timeout' must be smaller than 'health-probe-interval'",
            ),
            (&["--app-id", "x", "--mode", "sideways"], "Fatal error from runtime: invalid mode: sideways"),
        ] {
            assert_eq!(parse(words, &Environment::default()).unwrap_err().log_line(), line);
        }
    }

    #[test]
    fn sizes_come_from_either_flag() {
        assert_eq!(started(&["--max-body-size", "1k"]).max_body_size, 1000);
        assert_eq!(started(&["--max-body-size", "0"]).max_body_size, 0);
        assert_eq!(started(&["--dapr-http-max-request-size", "16"]).max_body_size, 16 << 20);
        assert_eq!(started(&["--dapr-http-max-request-size", "-1"]).max_body_size, 4 << 20);
        assert_eq!(started(&["--dapr-http-max-request-size", "16", "--max-body-size", "1Mi"]).max_body_size, 1 << 20);
    }

    #[test]
    fn placeholders_are_no_addresses() {
        for text in ["", " ", "''", "'      '", "'\"\"'", "\"\"", "\"   \""] {
            assert!(started(&["--placement-host-address", text]).placement_addresses.is_empty(), "{text}");
            assert!(started(&["--scheduler-host-address", text]).scheduler_addresses.is_empty(), "{text}");
        }
        assert_eq!(started(&["--placement-host-address", "a:1, b:2"]).placement_addresses, ["a:1", "b:2"]);
        assert_eq!(started(&["--actors-service", "placement:a:1,b:2"]).placement_addresses, ["a:1", "b:2"]);
    }

    #[test]
    fn the_environment_fills_in() {
        let environment = Environment::new([
            ("DAPR_CONTROLPLANE_NAMESPACE", "cp"),
            ("DAPR_SCHEDULER_HOST_ADDRESS_DNS_A", "s1:1,s2:2"),
            ("DAPR_API_TOKEN", "t"),
        ]);
        let flags = parse(&["--app-id", "x", "--control-plane-trust-domain", "td"], &environment).unwrap();
        assert_eq!((flags.control_plane_namespace.as_str(), flags.control_plane_trust_domain.as_str()), ("cp", "td"));
        assert_eq!(flags.scheduler_addresses, ["s1:1", "s2:2"]);
        assert_eq!(flags.api_token.unwrap().reveal(), "t");
    }

    #[test]
    fn zero_means_the_default_for_health_and_none_for_ports() {
        let flags = started(&[
            "--enable-app-health-check",
            "--app-health-probe-interval=0",
            "--app-health-threshold=0",
            "--profile-port=-1",
            "--app-port=0",
            "--dapr-internal-grpc-port=0",
        ]);
        let health = AppHealth { interval: Duration::from_secs(5), timeout: Duration::from_millis(500), threshold: 3 };
        assert_eq!(flags.app_health, Some(health));
        assert_eq!((flags.profile_port, flags.app_port, flags.internal_grpc_port), (None, None, None));
    }

    #[test]
    fn deprecated_flags_work_and_are_noticed() {
        let flags = started(&["--components-path", "c", "--app-ssl"]);
        assert_eq!(flags.resources_path, [PathBuf::from("c")]);
        assert_eq!(flags.app_protocol, AppProtocol::Https);
        assert_eq!(
            flags.notices,
            [
                "Flag --app-ssl has been deprecated, use '--app-protocol https|grpcs'",
                "Flag --components-path has been deprecated, use --resources-path"
            ]
        );
    }
}
