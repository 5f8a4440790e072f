//! Conformance of the built program.

mod catalogue;
mod coverage;
mod developer;
mod docs;
mod functions;
mod golden;
mod load;
mod manage;
mod mixed;
mod sdk;
mod shim;
mod wasm;
mod wire;
