//! The kinds of guests, a folder each.

pub mod command;
pub mod component;
pub mod http_wasm;
pub mod proxy_wasm;
