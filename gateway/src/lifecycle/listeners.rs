//! The ports of the sidecar, and what it says about them (as daprd 1.18).

use std::path::PathBuf;

use components::nameresolution::local;

use crate::cli::Flags;
use crate::server::{Bound, FIRST_HEAD, Http, Reserved, bind_tcp, bind_unix};

use super::{Fatal, Process, SCOPE, address};

/// Listeners that are bound, not yet accepting.
pub struct Listeners {
    http: Vec<Bound>,
    grpc: Vec<Bound>,
    public: Option<Bound>,
    metrics: Option<Bound>,
}

/// Whether HTTP/2 without TLS is spoken: `DAPR_HTTP_DISABLE_H2C` switches it off.
pub fn allows_h2c(flags: &Flags) -> bool {
    !flags.environment.get("DAPR_HTTP_DISABLE_H2C").is_some_and(components::metadata::is_truthy)
}

/// HTTP/1.1 and HTTP/2 on one port.
pub fn http_protocol(flags: &Flags) -> Http {
    Http {
        with_http1: true,
        with_http2: allows_h2c(flags),
        // More than the limit, so that the layer can answer 431 in daprd's words.
        header_buffer: (flags.read_buffer_size * 2).max(32 << 10),
        keepalive: false,
        first_head: FIRST_HEAD,
    }
}

/// HTTP/2 alone. daprd lets a metadata block have the read buffer's size times 1024.
pub fn grpc_protocol(flags: &Flags) -> Http {
    Http {
        with_http1: false,
        with_http2: true,
        header_buffer: flags.read_buffer_size.saturating_mul(1024).min(1 << 24),
        keepalive: true,
        first_head: FIRST_HEAD,
    }
}

/// The internal port: given, or the stable one, or any if that is taken.
pub async fn bind_internal(flags: &Flags) -> Result<Bound, Fatal> {
    let host = &flags.internal_grpc_listen_address;
    let failed =
        |error: crate::server::ListenError| format!("failed to reserve port for internal gRPC server: {error}");
    match flags.internal_grpc_port {
        Some(port) => Ok(bind_tcp(host, port).await.map_err(failed)?),
        None => {
            let stable = address::stable_port(&flags.app_id);
            match crate::server::try_bind_tcp(host, stable) {
                Ok(bound) => Ok(bound),
                Err(_) => Ok(bind_tcp(host, 0).await.map_err(failed)?),
            }
        }
    }
}

/// A socket in the registry of this host; `None` when it cannot be had, and peers come over the port. It serves without
/// TLS, behind a folder that only this user can enter.
pub fn bind_internal_socket(flags: &Flags) -> Option<(PathBuf, Bound)> {
    if flags.enable_mtls {
        return None;
    }
    let bound = local::socket_path(&local::runtime_folder())
        .map_err(|error| error.to_string())
        .and_then(|path| Ok((path.clone(), bind_unix(&path).map_err(|error| error.to_string())?)));
    bound.inspect_err(|error| tracing::debug!(target: SCOPE, "No socket for peers on this host: {error}")).ok()
}

impl Listeners {
    /// Binds everything but the internal port.
    pub async fn bind(flags: &Flags, reserved: &mut Reserved) -> Result<Self, Fatal> {
        let (mut http, mut grpc) = (Vec::new(), Vec::new());
        match &flags.unix_domain_socket {
            Some(folder) => {
                let socket = |kind: &str| folder.join(format!("dapr-{}-{kind}.socket", flags.app_id));
                grpc.push(bind_unix(&socket("grpc")).map_err(|error| error.to_string())?);
                http.push(bind_unix(&socket("http")).map_err(|error| error.to_string())?);
            }
            None => {
                grpc = bind_all(flags, reserved, flags.grpc_port, "dapr.runtime.grpc.api", "gRPC").await?;
                http = bind_all(flags, reserved, flags.http_port, "dapr.runtime.http", "HTTP").await?;
            }
        }
        let public = match flags.public_port {
            Some(port) => Some(bind_tcp(&flags.public_listen_address, port).await.map_err(|error| error.to_string())?),
            None => None,
        };
        Ok(Self { http, grpc, public, metrics: None })
    }

    /// Binds the metrics port; a taken one is a warning, not an end.
    pub async fn bind_metrics(flags: &Flags, reserved: &mut Reserved) -> Option<Bound> {
        if !flags.metrics.enabled {
            return None;
        }
        let (host, port) = (&flags.metrics.listen_address, flags.metrics.port);
        match reserved.bind(host, port).await {
            Ok(bound) => {
                tracing::info!(target: SCOPE, "metrics server started on {host}:{port}/");
                Some(bound)
            }
            Err(error) => {
                tracing::error!(target: SCOPE, "failed to start metrics server: {error}");
                None
            }
        }
    }

    /// Begins to accept, and says so in the words that tools wait for.
    pub fn serve(self, process: &mut Process) {
        let internal = [process.internal_bound.take(), process.socket_bound.take()];
        let process = &*process;
        let flags = &process.flags;
        for bound in self.grpc {
            process.accept(bound, grpc_protocol(flags), process.grpc.clone());
        }
        match flags.unix_domain_socket {
            Some(_) => tracing::info!(target: SCOPE, "API gRPC server is running on a Unix Domain Socket"),
            None => tracing::info!(target: SCOPE, "API gRPC server is running on port {}", flags.grpc_port),
        }
        process.readiness.set("grpc-api-server", true);
        for bound in self.http {
            process.accept(bound, http_protocol(flags), process.http.clone());
        }
        match flags.unix_domain_socket {
            Some(_) => tracing::info!(target: SCOPE, "HTTP server is running on a Unix Domain Socket"),
            None => tracing::info!(target: SCOPE, "HTTP server is running on port {}", flags.http_port),
        }
        tracing::info!(target: SCOPE, "The request body size parameter is: {} bytes", flags.max_body_size);
        if let Some(bound) = self.public {
            process.accept(bound, http_protocol(flags), process.public.clone());
        }
        if let Some(bound) = self.metrics {
            process.accept(bound, http_protocol(flags), process.metrics.clone());
        }
        for bound in internal.into_iter().flatten() {
            process.accept(bound, grpc_protocol(flags), process.internal.clone());
        }
        let address = &flags.internal_grpc_listen_address;
        tracing::info!(target: SCOPE, "Internal gRPC server is running on {address}:{}", process.internal_port);
        process.readiness.set("grpc-internal-server", true);
    }

    /// The metrics listener goes with the others.
    pub fn with_metrics(mut self, metrics: Option<Bound>) -> Self {
        self.metrics = metrics;
        self
    }
}

/// Binds each address that can be; none at all is an error.
async fn bind_all(
    flags: &Flags,
    reserved: &mut Reserved,
    port: u16,
    scope: &'static str,
    name: &str,
) -> Result<Vec<Bound>, Fatal> {
    let mut bound = Vec::new();
    let mut last = String::new();
    for address in &flags.listen_addresses {
        match reserved.bind(address, port).await {
            Ok(listener) => {
                info(scope, &format!("{name} server listening on TCP address: {address}:{port}"));
                bound.push(listener);
            }
            Err(error) => last = error.to_string(),
        }
    }
    if bound.is_empty() {
        return Err(format!("failed to start {name} server: could not listen on any endpoint: {last}").into());
    }
    Ok(bound)
}

/// The scope of an event must be known at compile time.
fn info(scope: &'static str, line: &str) {
    match scope {
        "dapr.runtime.http" => tracing::info!(target: "dapr.runtime.http", "{line}"),
        _ => tracing::info!(target: "dapr.runtime.grpc.api", "{line}"),
    }
}
