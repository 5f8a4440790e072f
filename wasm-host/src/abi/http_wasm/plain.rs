//! Functions that are about no message: features, configuration, log.

use wasmtime::{Caller, Linker};

use super::{Abi, HOST};
use crate::log::Level;
use crate::memory::{both, outside, part_mut, read};
use crate::store::State;
use crate::wasi::printable;

type Host<'a> = Caller<'a, State<Abi>>;

/// Writes `value` to the guest's buffer if all of it fits; gives its length either way.
pub(super) fn give(memory: &mut [u8], value: &[u8], buffer: u32, limit: u32) -> wasmtime::Result<u32> {
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
    if length <= limit && length > 0 {
        let place = part_mut(memory, buffer, length).ok_or_else(|| outside(buffer, length))?;
        place.copy_from_slice(value);
    }
    Ok(length)
}

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(HOST, "enable_features", |mut caller: Host<'_>, bits: u32| {
        let abi = &mut caller.data_mut().abi;
        let features = match &mut abi.exchange {
            Some(exchange) => &mut exchange.features,
            None => &mut abi.features,
        };
        *features = features.with(bits);
        features.0
    })?;
    linker.func_wrap(HOST, "get_config", |mut caller: Host<'_>, buffer: u32, limit: u32| {
        let (memory, state) = both(&mut caller)?;
        give(memory, &state.abi.settings.config, buffer, limit)
    })?;
    linker.func_wrap(HOST, "log_enabled", |caller: Host<'_>, level: i32| {
        i32::from(known(level).is_some_and(|level| caller.data().abi.settings.log.is_enabled(level)))
    })?;
    linker.func_wrap(HOST, "log", |mut caller: Host<'_>, level: i32, pointer: u32, length: u32| {
        let log = caller.data().abi.settings.log.clone();
        if let Some(level) = known(level).filter(|level| log.is_enabled(*level)) {
            log.write(level, &printable(&read(&mut caller, pointer, length)?));
        }
        wasmtime::error::Ok(())
    })?;
    Ok(())
}

/// `None` for the level that writes nothing, and for numbers that are no level.
fn known(level: i32) -> Option<Level> {
    match level {
        -1 => Some(Level::Debug),
        0 => Some(Level::Info),
        1 => Some(Level::Warn),
        2 => Some(Level::Error),
        _ => None,
    }
}
