//! Conformance of the built program.

mod catalogue;
mod golden;
mod load;
mod sdk;
mod wire;
