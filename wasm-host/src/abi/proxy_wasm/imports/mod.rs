//! The functions that guests import from `env`, by subject.

mod buffers;
mod calls;
mod contexts;
mod grpc;
mod layotto;
mod log;
mod maps;
mod metrics;
mod ottavo;
mod properties;
mod shared;

use wasmtime::{Caller, Linker};

use super::abi::Abi;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::module::Module;
use crate::store::State;
use crate::{inspect, wasi};

/// The module that guests import.
const ENV: &str = "env";

/// Adds all of them.
pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    log::add(linker)?;
    contexts::add(linker)?;
    buffers::add(linker)?;
    maps::add(linker)?;
    properties::add(linker)?;
    shared::add(linker)?;
    metrics::add(linker)?;
    calls::add(linker)?;
    grpc::add(linker)?;
    layotto::add(linker)?;
    ottavo::add(linker)?;
    // What AssemblyScript and Emscripten put beside the ABI.
    linker.func_wrap(
        ENV,
        "abort",
        |_: Caller<'_, State<Abi>>, _: u32, _: u32, line: u32, column: u32| -> wasmtime::Result<()> {
            Err(Error::misuse(format!("abort was called at line {line}, column {column} of its source")).into())
        },
    )?;
    linker.func_wrap(ENV, "emscripten_notify_memory_growth", |_: Caller<'_, State<Abi>>, _: u32| {})?;
    Ok(())
}

/// What a module imports that guests of this kind do not get: module and name.
pub(crate) fn missing(engine: &Engine, module: &Module) -> Result<Vec<(String, String)>> {
    let mut linker = Linker::new(engine.wasm());
    let added = wasi::add(&mut linker).and_then(|()| add(&mut linker));
    added.map_err(|error| Error::Engine(error.to_string()))?;
    inspect::missing(module, linker)
}
