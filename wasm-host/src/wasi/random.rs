//! `random_get`.

use wasmtime::{Caller, Linker};

use super::errno;
use crate::memory::{both, outside, part_mut};
use crate::store::State;

/// What a guest gets as chance.
pub(crate) enum Random {
    True,
    /// The same bytes in each guest.
    Repeated {
        given: u64,
    },
}

/// The bytes that every strict guest of daprd's engine gets first (Go's `math/rand`, seed 42).
const FIRST: [u8; 32] = [
    0x53, 0x8c, 0x7f, 0x96, 0xb1, 0x64, 0xbf, 0x1b, 0x97, 0xbb, 0x9f, 0x4b, 0xb4, 0x72, 0xe8, 0x9f, 0x5b, 0x14, 0x84,
    0xf2, 0x52, 0x09, 0xc9, 0xd9, 0x34, 0x3e, 0x92, 0xba, 0x09, 0xdd, 0x9d, 0x52,
];

impl Random {
    pub fn new(strict: bool) -> Self {
        if strict { Self::Repeated { given: 0 } } else { Self::True }
    }

    pub fn fill(&mut self, place: &mut [u8]) {
        match self {
            Self::True => rand::fill(place),
            Self::Repeated { given } => {
                for byte in place {
                    *byte = repeated(*given);
                    *given += 1;
                }
            }
        }
    }
}

/// The byte at `index`: daprd's for the first ones, which is what guests ask for as a seed; then our own.
fn repeated(index: u64) -> u8 {
    if let Some(byte) = usize::try_from(index).ok().and_then(|index| FIRST.get(index)) {
        return *byte;
    }
    // SplitMix64 at this place of its sequence.
    let mut word = (index / 8).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(42);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)).to_le_bytes()[(index % 8) as usize]
}

pub(super) fn add<T: Send + 'static>(linker: &mut Linker<State<T>>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap(module, "random_get", |mut caller: Caller<'_, State<T>>, pointer: u32, length: u32| {
        let (memory, state) = both(&mut caller)?;
        let place = part_mut(memory, pointer, length).ok_or_else(|| outside(pointer, length))?;
        state.wasi.random.fill(place);
        wasmtime::error::Ok(errno::SUCCESS)
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_chance_repeats_and_does_not_depend_on_the_portions() {
        let (mut whole, mut parts) = ([0; 100], [0; 100]);
        Random::new(true).fill(&mut whole);
        let mut random = Random::new(true);
        parts.chunks_mut(7).for_each(|chunk| random.fill(chunk));
        assert_eq!(whole, parts);
        assert_eq!(whole[..32], FIRST);
        assert_ne!(whole[32..64], whole[64..96]);
    }
}
