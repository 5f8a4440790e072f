//! What a plugin is made of.

use std::sync::Arc;

use bytes::Bytes;

use super::host::ProxyHost;
use super::map::{Pairs, encode};
use super::services::Services;
use crate::log::Log;
use crate::pool::PoolSettings;
use crate::settings::Limits;

/// A plugin: a module with its configuration.
#[derive(Clone)]
pub struct ProxySettings {
    pub plugin: String,
    /// Guests with the same id share data, queues and metrics.
    pub vm_id: String,
    pub root_id: String,
    /// What a guest reads as VM configuration and as plugin configuration.
    pub vm_configuration: Bytes,
    pub plugin_configuration: Bytes,
    /// `NAME`, value: what a guest sees as environment.
    pub environment: Vec<(String, String)>,
    pub limits: Limits,
    pub pool: PoolSettings,
    pub host: Arc<dyn ProxyHost>,
    pub services: Services,
    pub log: Arc<dyn Log>,
    /// Bytes of one body, and of all answers to one guest's own calls, that are kept.
    pub body_limit: usize,
}

/// A configuration in the form in which Layotto gives it.
pub fn configuration(pairs: &[(&str, &str)]) -> Bytes {
    let pairs: Pairs = pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    encode(&pairs).into()
}
