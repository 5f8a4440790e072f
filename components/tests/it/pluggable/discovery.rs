//! What a folder of sockets offers.

use components::Registry;
use components::pluggable::discover;
use tokio::net::UnixListener;
use tonic::service::Routes;

use super::server::Component;
use super::store::{Store, routes};
use crate::servers::folder;

#[tokio::test]
async fn a_folder_that_is_not_there_holds_nothing() {
    let folder = folder();
    let mut registry = Registry::default();
    let found = discover(&folder.path().join("none"), &mut registry).await.unwrap();
    assert!(found.is_empty());
}

#[tokio::test]
async fn other_files_and_services_are_passed_over() {
    let component = Component::start(&["StateStore", "SecretStore"], routes(Store::in_memory())).await;
    std::fs::write(component.folder().join("readme"), "no socket").unwrap();
    std::fs::create_dir(component.folder().join("folder.sock")).unwrap();
    let mut registry = Registry::default();
    let found = discover(component.folder(), &mut registry).await.unwrap();
    let found: Vec<&str> = found.iter().map(|found| found.kind_and_name.as_str()).collect();
    assert_eq!(found, ["state.test", "secretstores.test"]);
    assert!(registry.find("state.test", "").is_some());
    assert!(registry.find("state.Test", "v1").is_some());
    assert!(registry.find("state.test", "v2").is_none());
}

#[tokio::test]
async fn a_socket_without_reflection_is_an_error() {
    let folder = folder();
    let path = folder.path().join("bare.sock");
    let listener = tokio_stream::wrappers::UnixListenerStream::new(UnixListener::bind(&path).unwrap());
    let server = tonic::transport::Server::builder().add_routes(Routes::default()).serve_with_incoming(listener);
    let serving = tokio::spawn(server);
    let error = discover(folder.path(), &mut Registry::default()).await.unwrap_err();
    assert!(error.message().starts_with(&format!("unable to list services of unix://{}", path.display())), "{error}");
    serving.abort();
}
