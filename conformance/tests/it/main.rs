//! Conformance of the built program.

mod catalogue;
mod docs;
mod golden;
mod load;
mod sdk;
mod wire;
