//! Our definitions against those inside published packages of Dapr: Python, npm, and the Go runtime.
//!
//! Each package is read by a small program in its own language (`conformance/descriptors`), so that no code of ours
//! stands on both sides of the comparison.

mod packages;

use std::collections::BTreeMap;

use prost::Message;
use prost_types::FileDescriptorSet;
use proto_dapr::{FILE_DESCRIPTOR_SET, flatten};

use crate::packages::{Package, go, npm, pypi};

/// Fields that only the old operator definitions in the npm package still have. The runtime has retired them since,
/// and their numbers and names are reserved.
const RETIRED: [&str; 6] = [
    "field dapr.proto.operator.v1.ComponentUpdateRequest.podName",
    "field dapr.proto.operator.v1.GetConfigurationRequest.podName",
    "field dapr.proto.operator.v1.HTTPEndpointUpdateRequest.pod_name",
    "field dapr.proto.operator.v1.ListComponentsRequest.podName",
    "field dapr.proto.operator.v1.ListSubscriptionsRequest.podName",
    "field dapr.proto.operator.v1.SubscriptionUpdateRequest.podName",
];

/// `field MESSAGE.NAME` and the like, to the rest of its line.
type Definitions = BTreeMap<String, String>;

fn definitions(lines: impl IntoIterator<Item = String>) -> Definitions {
    lines
        .into_iter()
        .map(|line| match line.match_indices(' ').nth(1) {
            Some((end, _)) => (line[..end].to_owned(), line[end + 1..].to_owned()),
            None => (line, String::new()),
        })
        .collect()
}

fn ours() -> Definitions {
    definitions(flatten::lines(&FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).expect("a descriptor set")))
}

fn theirs(package: &Package) -> Definitions {
    definitions(package.lines())
}

/// Whether a peer that knows `theirs` and one that knows `ours` read each other's bytes alike.
///
/// Explicit presence (`optional`) makes no difference to them: the compiler's oneof around such a field exists only
/// in the descriptor. But we must not lose presence that a package has, so only ours may be the explicit one. That is
/// so for `Job.data`, which became `optional` in 1.19.
fn agree(ours: &str, theirs: &str) -> bool {
    ours == theirs || ours == theirs.replacen(" singular ", " optional ", 1)
}

#[track_caller]
fn assert_contains(package: &Package) {
    let ours = ours();
    let mut differences = Vec::new();
    for (key, theirs) in theirs(package) {
        match ours.get(&key) {
            Some(ours) if agree(ours, &theirs) => {}
            Some(ours) => differences.push(format!("{key}: {theirs:?} there, {ours:?} here")),
            None if RETIRED.contains(&key.as_str()) => {}
            None => differences.push(format!("{key}: {theirs:?} there, missing here")),
        }
    }
    assert!(differences.is_empty(), "{} of {}:\n{}", differences.len(), package.name, differences.join("\n"));
}

fn count(definitions: &Definitions, prefix: &str) -> usize {
    definitions.keys().filter(|key| key.starts_with(prefix)).count()
}

#[test]
fn the_python_package_is_contained() {
    let package = pypi();
    assert_contains(&package);
    // The whole package was read: its 409 messages and 1,221 fields, less 70 map entries of two fields each.
    let theirs = theirs(&package);
    assert_eq!((count(&theirs, "message "), count(&theirs, "field "), count(&theirs, "rpc ")), (339, 1081, 121));
}

#[test]
fn the_npm_package_is_contained() {
    let package = npm();
    assert_contains(&package);
    let theirs = theirs(&package);
    for field in RETIRED {
        assert!(theirs.contains_key(field), "{field} is gone from {}: drop the exception", package.name);
    }
}

#[test]
fn the_go_runtime_is_contained() {
    assert_contains(&go());
}

#[test]
fn nothing_is_invented() {
    let union: Definitions = [pypi(), npm(), go()].iter().flat_map(theirs).collect();
    let invented: Vec<_> = ours().into_keys().filter(|key| !union.contains_key(key)).collect();
    assert!(invented.is_empty(), "in none of the packages:\n{}", invented.join("\n"));
}

#[test]
fn services_have_all_their_methods() {
    let ours = ours();
    for (service, methods) in [
        ("dapr.proto.runtime.v1.Dapr", 94),
        ("dapr.proto.runtime.v1.AppCallback", 7),
        ("dapr.proto.runtime.v1.AppCallbackAlpha", 2),
        ("dapr.proto.runtime.v1.AppCallbackHealthCheck", 1),
        ("TaskHubSidecarService", 17),
        ("dapr.proto.internals.v1.ServiceInvocation", 5),
        ("dapr.proto.placement.v1.Placement", 1),
        ("dapr.proto.scheduler.v1.Scheduler", 8),
        ("dapr.proto.sentry.v1.CA", 1),
        ("dapr.proto.operator.v1.Operator", 16),
    ] {
        assert_eq!(count(&ours, &format!("rpc {service}/")), methods, "methods of {service}");
    }
}
