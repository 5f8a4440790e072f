//! Every rpc of the published service is in the gateway's catalogue, so that none can be forgotten.

use gateway::catalog::{ROWS, SERVICE};
use prost::Message;
use prost_types::FileDescriptorSet;

#[test]
fn every_rpc_of_the_dapr_service_is_in_the_catalogue() {
    let set = FileDescriptorSet::decode(proto_dapr::FILE_DESCRIPTOR_SET).expect("the descriptor set decodes");
    let (package, name) = SERVICE.rsplit_once('.').expect("a service has a package");
    let service = set
        .file
        .iter()
        .filter(|file| file.package() == package)
        .flat_map(|file| &file.service)
        .find(|service| service.name() == name)
        .expect("the Dapr service is defined");
    let known: Vec<&str> = ROWS.iter().flat_map(|row| row.grpc.iter().map(|(method, _)| *method)).collect();
    let missing: Vec<&str> =
        service.method.iter().map(|method| method.name()).filter(|method| !known.contains(method)).collect();
    assert!(missing.is_empty(), "not in gateway/src/catalog.rs: {missing:?}");
}
