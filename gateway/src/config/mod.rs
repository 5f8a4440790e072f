//! Resources as daprd 1.18 reads them: one file per kind, and [`load`] which finds them on disk.
//!
//! Documents become JSON values first ([`yaml`]) and types second ([`decode`]), with Go's leniency: keys match without
//! regard to case, `null` is absence, a scalar fits a text. Secrets and environment variables stay references here;
//! [`component::Component::properties`] puts in what the loader has fetched.

pub mod component;
pub mod configuration;
pub mod decode;
mod document;
pub mod duration;
pub mod environment;
#[cfg(feature = "wasm")]
pub mod function;
pub mod http_endpoint;
pub mod load;
pub mod meta;
pub mod quantity;
pub mod resiliency;
pub mod subscription;
pub mod template;
pub mod unserved;
pub mod value;
pub mod yaml;

pub use component::Component;
pub use configuration::Configuration;
pub use duration::GoDuration;
pub use environment::Environment;
pub use http_endpoint::HttpEndpoint;
pub use load::{LoadError, Resources};
pub use resiliency::Resiliency;
pub use subscription::Subscription;
