//! Which components the sockets of a folder offer.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use tokio_stream::once;
use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

use super::socket::Socket;
use super::{bindings, pubsub, secretstores, state};
use crate::registry::Registry;
use crate::{Error, Result};

/// Where sockets are looked for unless `DAPR_COMPONENTS_SOCKETS_FOLDER` says otherwise.
pub const DEFAULT_FOLDER: &str = "/tmp/dapr-components-sockets";

/// The time a socket has to answer. daprd waits without end, also for a socket file that nobody serves any more.
const PATIENCE: Duration = Duration::from_secs(10);

/// A component type that a socket offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// For example `state.mine` for the socket `mine.sock`.
    pub kind_and_name: String,
    /// The gRPC service behind it.
    pub service: String,
}

/// Registers what the sockets in `folder` offer, in version `v1`.
///
/// A folder that does not exist holds nothing; folders in it are skipped, and so are other files, with a warning. A
/// socket that does not answer is an error: a component that is configured to be there must not be missing silently.
pub async fn discover(folder: &Path, registry: &mut Registry) -> Result<Vec<Discovered>> {
    let mut discovered = Vec::new();
    for path in sockets(folder)? {
        let socket = Socket::new(path);
        let services = match tokio::time::timeout(PATIENCE, services(&socket)).await {
            Ok(services) => services?,
            Err(_) => {
                return Err(Error::other(format!(
                    "pluggable component socket {socket} does not answer gRPC server reflection within {} s; start its \
                     component or remove the file",
                    PATIENCE.as_secs()
                )));
            }
        };
        let name = socket.component_name();
        let has = |service: &str| services.iter().any(|known| known == service);
        let mut add = |kind: &str, service: &str| {
            let kind_and_name = format!("{kind}.{name}");
            tracing::info!("pluggable component '{name}' was successfully registered for '{service}'");
            discovered.push(Discovered { kind_and_name: kind_and_name.clone(), service: service.to_owned() });
            kind_and_name
        };
        if has(state::SERVICE) {
            state::register(registry, &add("state", state::SERVICE), socket.clone(), has(state::MAX_SIZE_SERVICE));
        }
        if has(pubsub::SERVICE) {
            pubsub::register(registry, &add("pubsub", pubsub::SERVICE), socket.clone());
        }
        let directions = bindings::Directions { input: has(bindings::INPUT), output: has(bindings::OUTPUT) };
        if directions.input {
            add("bindings", bindings::INPUT);
        }
        if directions.output {
            add("bindings", bindings::OUTPUT);
        }
        if directions.input || directions.output {
            bindings::register(registry, &format!("bindings.{name}"), socket.clone(), directions);
        }
        if has(secretstores::SERVICE) {
            secretstores::register(registry, &add("secretstores", secretstores::SERVICE), socket.clone());
        }
    }
    Ok(discovered)
}

/// The sockets of a folder, by name.
fn sockets(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    use std::os::unix::fs::FileTypeExt;

    let failed = |error| {
        Error::other(format!("could not list pluggable components unix sockets in {}: {error}", folder.display()))
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut sockets = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let file_type = entry.file_type().map_err(failed)?;
        if file_type.is_socket() {
            sockets.push(entry.path());
        } else if !file_type.is_dir() {
            tracing::warn!("could not use socket for file {}", entry.path().display());
        }
    }
    sockets.sort();
    Ok(sockets)
}

/// The names of the services that the socket's server knows.
async fn services(socket: &Socket) -> Result<Vec<String>> {
    let channel = socket.connect_patiently(PATIENCE).await?;
    let failed = |what: String| Error::other(format!("unable to list services of {socket}: {what}"));
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices("*".to_owned())),
    };
    let mut replies = ServerReflectionClient::new(channel)
        .server_reflection_info(once(request))
        .await
        .map_err(|status| failed(status.message().to_owned()))?
        .into_inner();
    match replies.next().await {
        Some(Ok(reply)) => match reply.message_response {
            Some(MessageResponse::ListServicesResponse(list)) => {
                Ok(list.service.into_iter().map(|service| service.name).collect())
            }
            Some(MessageResponse::ErrorResponse(error)) => Err(failed(error.error_message)),
            _ => Err(failed("the answer is not a list of services".to_owned())),
        },
        Some(Err(status)) => Err(failed(status.message().to_owned())),
        None => Err(failed("there was no answer".to_owned())),
    }
}
