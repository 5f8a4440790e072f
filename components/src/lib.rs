//! Components: what an application's sidecar stands on.
//!
//! A *kind* (`state`, `pubsub`, `secretstores`, ...) is a folder with one object-safe trait in its `mod.rs`; an
//! implementation is a folder below it. [`builtin::register`] lists the implementations, [`Registry`] builds one
//! from its `type`, `version` and metadata. A component that exists is connected: there is no second `init`.
//!
//! Nothing here knows HTTP, gRPC fronts, policies or app ids beyond [`InitContext`].

pub mod bindings;
pub mod builtin;
pub mod clients;
pub mod component;
pub mod conversation;
pub mod cron;
pub mod crypto;
pub mod error;
pub mod go;
pub mod metadata;
pub mod nameresolution;
pub mod pluggable;
pub mod pubsub;
pub mod registry;
pub mod secretstores;
pub mod state;
pub mod task;

pub use component::{Built, InitContext, Spec};
pub use error::{Error, ErrorKind, Result};
pub use metadata::{Metadata, Secret};
pub use registry::Registry;
