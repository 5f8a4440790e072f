//! WebAssembly guests beside the building blocks.
//!
//! [`Engine`] compiles a [`Module`]; a module's kind says what it is: an HTTP middleware ([`abi::http_wasm`]), a command
//! ([`abi::command`]), a proxy-wasm filter or function ([`abi::proxy_wasm`]). [`source`] says where modules come from,
//! [`Limits`] how much a guest may use, [`Error`] what went wrong with it, [`sidecar`] what it can reach outside of itself.
//!
//! A guest runs on the thread of whoever calls it and gives way to other work every [`Settings::tick`]. It has no files,
//! no network, no environment and no other host function than its kind's.

pub mod abi;
pub mod body;
mod cache;
pub mod components;
pub mod digest;
mod engine;
pub mod error;
pub mod function;
pub mod inspect;
mod kind;
pub mod log;
mod memory;
mod meter;
mod module;
mod pool;
mod settings;
mod shared;
pub mod sidecar;
pub mod source;
mod store;
pub mod testkit;
mod ticker;
mod turns;
mod wasi;

pub use abi::component::Handlers;
pub use engine::Engine;
pub use error::{Error, Result};
pub use function::Function;
pub use kind::Kind;
pub use module::Module;
pub use pool::PoolSettings;
pub use settings::{Limits, Settings};
pub use shared::SharedEngine;
