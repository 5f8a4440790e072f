//! Log and time.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Host, get, now, put, put_word};
use crate::abi::proxy_wasm::status::Status;
use crate::log::Level;
use crate::store::State;
use crate::wasi::printable;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(ENV, "proxy_log", |caller: Host<'_>, level: u32, pointer: u32, length: u32| {
        now(caller, "proxy_log", Allowed::Always, |caller| {
            let level = match level {
                0 => Level::Trace,
                1 => Level::Debug,
                2 => Level::Info,
                3 => Level::Warn,
                4 | 5 => Level::Error,
                _ => return Err(Status::BadArgument.into()),
            };
            let line = get(caller, pointer, length)?;
            let log = caller.data().abi.settings.log.clone();
            if log.is_enabled(level) {
                log.write(level, &printable(&line));
            }
            Ok(())
        })
    })?;
    linker.func_wrap(ENV, "proxy_get_log_level", |caller: Host<'_>, result: u32| {
        now(caller, "proxy_get_log_level", Allowed::Always, |caller| {
            let log = &caller.data().abi.settings.log;
            let levels = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];
            let lowest = levels.iter().position(|level| log.is_enabled(*level)).unwrap_or(levels.len());
            put_word(caller, result, u32::try_from(lowest).unwrap_or(u32::MAX))
        })
    })?;
    linker.func_wrap(ENV, "proxy_get_current_time_nanoseconds", |caller: Host<'_>, result: u32| {
        now(caller, "proxy_get_current_time_nanoseconds", Allowed::Always, |caller| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
            put(caller, result, &u64::try_from(now).unwrap_or(u64::MAX).to_le_bytes())
        })
    })?;
    Ok(())
}
