//! `poll_oneoff`: sleep, and streams that are always ready.

use std::time::Duration;

use wasmtime::{Caller, Linker};

use super::errno;
use crate::memory::{read, write};
use crate::store::State;

const SUBSCRIPTION: u32 = 48;
const EVENT: usize = 32;
const MOST: u32 = 1024;

#[derive(Clone, Copy)]
enum Wish {
    /// Until this much time has gone by.
    Time(Duration),
    /// A descriptor to read from or write to.
    Stream {
        exists: bool,
    },
    Unknown,
}

pub(super) fn add<T: Send + 'static>(linker: &mut Linker<State<T>>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        module,
        "poll_oneoff",
        |mut caller: Caller<'_, State<T>>, (subscriptions, events, count, result): (u32, u32, u32, u32)| {
            Box::new(async move {
                if count == 0 || count > MOST {
                    return Ok(errno::INVAL);
                }
                let bytes = read(&mut caller, subscriptions, count * SUBSCRIPTION)?;
                let wishes: Vec<([u8; 8], u8, Wish)> = bytes
                    .chunks_exact(SUBSCRIPTION as usize)
                    .map(|one| (field(one, 0), one[8], wish(&mut caller, one)))
                    .collect();
                let shortest = wishes.iter().filter_map(|(_, _, wish)| match wish {
                    Wish::Time(time) => Some(*time),
                    _ => None,
                });
                let shortest = shortest.min().unwrap_or_default();
                let is_ready = wishes.iter().any(|(_, _, wish)| !matches!(wish, Wish::Time(_)));
                let waited = if is_ready { Duration::ZERO } else { shortest };
                if !waited.is_zero() && !caller.data().wasi.clock.is_invented() {
                    tokio::time::sleep(waited).await;
                }
                let mut happened = Vec::new();
                for (data, tag, wish) in wishes {
                    let error = match wish {
                        Wish::Time(time) if time > waited => continue,
                        Wish::Time(_) | Wish::Stream { exists: true } => errno::SUCCESS,
                        Wish::Stream { exists: false } => errno::BADF,
                        Wish::Unknown => errno::NOTSUP,
                    };
                    let mut event = [0; EVENT];
                    event[..8].copy_from_slice(&data);
                    event[8..12].copy_from_slice(&error.to_le_bytes());
                    event[10] = tag;
                    happened.extend_from_slice(&event);
                }
                let number = u32::try_from(happened.len() / EVENT).unwrap_or(u32::MAX);
                write(&mut caller, events, &happened)?;
                write(&mut caller, result, &number.to_le_bytes())?;
                wasmtime::error::Ok(errno::SUCCESS)
            })
        },
    )?;
    Ok(())
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).unwrap_or([0; N])
}

fn wish<T>(caller: &mut Caller<'_, State<T>>, subscription: &[u8]) -> Wish {
    let word = u32::from_le_bytes(field(subscription, 16));
    match subscription[8] {
        0 => {
            let time = u64::from_le_bytes(field(subscription, 24));
            let is_absolute = subscription[40] & 1 == 1;
            let clock = &mut caller.data_mut().wasi.clock;
            let time = match (is_absolute, word) {
                (false, 0 | 1) => time,
                (true, 0) => time.saturating_sub(clock.wall()),
                (true, 1) => time.saturating_sub(clock.monotonic()),
                _ => return Wish::Unknown,
            };
            Wish::Time(Duration::from_nanos(time))
        }
        1 => Wish::Stream { exists: word == 0 },
        2 => Wish::Stream { exists: matches!(word, 1 | 2) },
        _ => Wish::Unknown,
    }
}
