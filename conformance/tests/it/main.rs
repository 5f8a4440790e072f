//! Conformance of the built program.

mod catalogue;
mod golden;
mod sdk;
mod wire;
