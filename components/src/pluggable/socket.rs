//! A component's Unix socket and the connections to it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tower::service_fn;

use crate::metadata::Properties;
use crate::{Error, ErrorKind, Result};

/// The metadata that tells a component process which of its instances a call is for.
const INSTANCE: &str = "x-component-instance";

/// The pause between attempts to reach a socket that refuses.
const RETRY: Duration = Duration::from_millis(50);

/// A connection whose every call names its instance. It re-establishes itself when it breaks.
pub(super) type Connection = InterceptedService<Channel, Instance>;

/// Where a component process listens.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    path: Arc<PathBuf>,
}

impl Socket {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path) }
    }

    /// The file's name without its extension.
    pub(super) fn component_name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        name.rsplit_once('.').map_or(&*name, |(stem, _)| stem).to_owned()
    }

    /// Connects, for `patience` at the most while nobody listens.
    pub(super) async fn connect_patiently(&self, patience: Duration) -> Result<Channel> {
        let start = Instant::now();
        loop {
            match self.channel().await {
                Ok(channel) => return Ok(channel),
                Err(_) if start.elapsed() < patience => tokio::time::sleep(RETRY).await,
                Err(error) => {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        format!("unable to open GRPC connection using socket '{self}': {error}"),
                    ));
                }
            }
        }
    }

    /// A connection for the component named `instance`.
    pub(super) async fn connect(&self, instance: &str, patience: Duration) -> Result<Connection> {
        // Names that HTTP/2 cannot carry would fail every call with a less clear error.
        let instance = MetadataValue::try_from(instance.as_bytes())
            .map_err(|_| Error::config(format!("a pluggable component cannot be named '{instance}'")))?;
        let channel = self.connect_patiently(patience).await?;
        Ok(InterceptedService::new(channel, Instance(instance)))
    }

    async fn channel(&self) -> std::result::Result<Channel, tonic::transport::Error> {
        let path = self.path.clone();
        let connector = service_fn(move |_| {
            let path = path.clone();
            async move { UnixStream::connect(&*path).await.map(TokioIo::new) }
        });
        // The address is not used, but HTTP/2 wants an authority.
        Endpoint::from_static("http://localhost").connect_with_connector(connector).await
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unix://{}", self.path.display())
    }
}

/// Adds the instance's name to each call.
#[derive(Clone)]
pub(super) struct Instance(MetadataValue<Ascii>);

impl Interceptor for Instance {
    fn call(&mut self, mut request: Request<()>) -> std::result::Result<Request<()>, Status> {
        request.metadata_mut().insert(INSTANCE, self.0.clone());
        Ok(request)
    }
}

/// A component's properties as its `Init` wants them.
pub(super) fn init_metadata(properties: &Properties) -> Option<proto_dapr::components::MetadataRequest> {
    let properties = properties.entries().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Some(proto_dapr::components::MetadataRequest { properties })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_named_as_its_socket_without_extension() {
        for (file, name) in [("/x/my.sock", "my"), ("/x/my", "my"), ("/x/a.b.sock", "a.b")] {
            assert_eq!(Socket::new(file.into()).component_name(), name);
        }
    }
}
