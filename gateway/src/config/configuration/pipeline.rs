//! `spec.httpPipeline` and `spec.appHttpPipeline`: middleware by reference.

use serde::Deserialize;

use crate::config::component::log_name;

/// Middleware, outermost first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PipelineSpec {
    pub handlers: Vec<Handler>,
}

/// A reference to a middleware component.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Handler {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub version: String,
}

impl Handler {
    /// How log lines name it.
    pub fn log_name(&self) -> String {
        log_name(&self.name, &self.kind, &self.version)
    }
}
