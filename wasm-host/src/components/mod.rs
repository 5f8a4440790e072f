//! Dapr components that are WebAssembly guests. The gateway registers them beside its built-in ones.

pub mod bindings;
mod options;

use ::components::Registry;

use crate::shared::SharedEngine;

pub use options::Options;

/// Adds the components of this crate to a registry.
pub fn register(registry: &mut Registry, engine: &SharedEngine) {
    let engine = engine.clone();
    registry.add("bindings.wasm", "v1", bindings::PROPERTIES, move |spec, _| bindings::build(engine.clone(), spec));
}
