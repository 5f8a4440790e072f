//! `clock_time_get` and `clock_res_get`.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Linker};

use super::errno;
use crate::memory::write;
use crate::store::State;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
/// What an invented clock moves on at each reading.
const STEP: u64 = 1_000_000;

/// A guest's two clocks, in nanoseconds.
pub(crate) enum Clock {
    Real {
        begin: Instant,
    },
    /// Clocks that show when they were read, not what time it is.
    Invented {
        wall: u64,
        monotonic: u64,
    },
}

impl Clock {
    pub fn new(strict: bool) -> Self {
        if strict {
            let second = since_epoch().as_secs();
            Self::Invented { wall: second.saturating_mul(1_000_000_000), monotonic: 0 }
        } else {
            Self::Real { begin: Instant::now() }
        }
    }

    pub fn is_invented(&self) -> bool {
        matches!(self, Self::Invented { .. })
    }

    pub fn wall(&mut self) -> u64 {
        match self {
            Self::Real { .. } => nanos(since_epoch()),
            Self::Invented { wall, .. } => {
                *wall = wall.saturating_add(STEP);
                *wall
            }
        }
    }

    pub fn monotonic(&mut self) -> u64 {
        match self {
            // Not zero at the beginning: some guests take that for a clock that is missing.
            Self::Real { begin } => nanos(begin.elapsed()).saturating_add(1),
            Self::Invented { monotonic, .. } => {
                let now = *monotonic;
                *monotonic = monotonic.saturating_add(STEP);
                now
            }
        }
    }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn add<T: Send + 'static>(linker: &mut Linker<State<T>>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(
        module,
        "clock_time_get",
        |mut caller: Caller<'_, State<T>>, id: u32, _precision: i64, result: u32| {
            let clock = &mut caller.data_mut().wasi.clock;
            let now = match id {
                REALTIME => clock.wall(),
                MONOTONIC => clock.monotonic(),
                _ => return Ok(errno::NOTSUP),
            };
            write(&mut caller, result, &now.to_le_bytes())?;
            wasmtime::error::Ok(errno::SUCCESS)
        },
    )?;
    linker.func_wrap(module, "clock_res_get", |mut caller: Caller<'_, State<T>>, id: u32, result: u32| {
        let is_invented = caller.data().wasi.clock.is_invented();
        let resolution: u64 = match id {
            REALTIME if is_invented => STEP,
            REALTIME => 1_000,
            MONOTONIC => 1,
            _ => return Ok(errno::NOTSUP),
        };
        write(&mut caller, result, &resolution.to_le_bytes())?;
        wasmtime::error::Ok(errno::SUCCESS)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_clocks_move_by_readings() {
        let mut clock = Clock::new(true);
        let first = clock.wall();
        assert_eq!(first % 1_000_000_000, STEP, "it begins at a whole second");
        assert_eq!(clock.wall(), first + STEP);
        assert_eq!((clock.monotonic(), clock.monotonic()), (0, STEP));
    }
}
