//! The wire definitions that Ottavo shares with Dapr: messages, gRPC clients and servers.
//!
//! Sources are the `.proto` files below `proto/`; `build.rs` compiles them, and nothing generated is kept in git.
//! They are the union of what Dapr 1.18's runtime and the SDKs of its generation (Python 1.19, JavaScript 3.18) define:
//! `tests/it` proves it against those published packages.
//!
//! Generated code lives in one module per protobuf package, nested as the package name is. The short names
//! ([`common`], [`runtime`], ...) lead to the same modules.
//!
//! How fields are typed: `bytes` is [`bytes::Bytes`] (no copy of the received payload), `map` is a
//! [`HashMap`](std::collections::HashMap), well-known types are those of [`prost_types`], and the wrappers
//! (`google.protobuf.StringValue`, ...) are `Option`s of the plain Rust type.

pub mod flatten;
mod modules;

pub use dapr::proto::common::v1 as common;
pub use dapr::proto::components::v1 as components;
pub use dapr::proto::internals::v1 as internals;
pub use dapr::proto::operator::v1 as operator;
pub use dapr::proto::placement::v1 as placement;
pub use dapr::proto::runtime::v1 as runtime;
pub use dapr::proto::scheduler::v1 as scheduler;
pub use dapr::proto::sentry::v1 as sentry;
pub use dapr::proto::workflows::v1 as workflows;
pub use google::rpc as google_rpc;
pub use modules::{dapr, durabletask, google};

/// All definitions as one encoded `google.protobuf.FileDescriptorSet`, well-known types included and comments left
/// out: what gRPC server reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
