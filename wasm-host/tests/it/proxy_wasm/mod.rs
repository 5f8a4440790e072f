//! proxy-wasm guests: every host function and each of its statuses, the start, the callbacks.

mod buffers_and_maps;
mod calls;
pub mod guest;
mod lifecycle;
mod services;
