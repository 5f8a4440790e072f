//! Conformance of the built program.

mod catalogue;
mod coverage;
mod docs;
mod golden;
mod load;
mod mixed;
mod sdk;
mod wasm;
mod wire;
