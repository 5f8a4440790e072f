//! A component process, within the test's own: a gRPC server on `test.sock` in a folder of its own.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;

pub const PACKAGE: &str = "dapr.proto.components.v1";

/// A running component process; it ends with its value.
pub struct Component {
    folder: TempDir,
    stop: CancellationToken,
}

impl Component {
    /// Serves `routes`, and names `services` of the package in server reflection.
    pub async fn start(services: &[&str], routes: Routes) -> Self {
        let folder = crate::servers::folder();
        let stop = CancellationToken::new();
        serve(folder.path().join("test.sock"), services, routes, stop.clone());
        Self { folder, stop }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Component {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Serves on `path` until `stop`.
pub fn serve(path: PathBuf, services: &[&str], routes: Routes, stop: CancellationToken) {
    let mut reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto_dapr::FILE_DESCRIPTOR_SET);
    for service in services {
        reflection = reflection.with_service_name(format!("{PACKAGE}.{service}"));
    }
    let reflection = reflection.build_v1alpha().expect("reflection");
    let listener = UnixListenerStream::new(UnixListener::bind(path).expect("a socket"));
    let server = Server::builder().add_routes(routes.add_service(reflection));
    tokio::spawn(async move {
        server.serve_with_incoming_shutdown(listener, stop.cancelled_owned()).await.expect("serves");
    });
}
