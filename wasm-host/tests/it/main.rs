//! Guests in WebAssembly text, through the whole host.

mod command;
mod component;
mod engine;
mod guest;
mod http_wasm;
mod limits;
mod proxy_wasm;
mod tck;
mod testkit;
mod upstream;
mod wild;
