//! The kinds of guests, a folder each.

pub mod command;
pub mod http_wasm;
pub mod proxy_wasm;
