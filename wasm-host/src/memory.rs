//! The guest's memory as host functions see it. Nothing here trusts a pointer.

use wasmtime::{Caller, Memory};

use crate::error::Error;
use crate::store::State;

type Result<T> = wasmtime::Result<T>;

/// The exported memory.
///
/// # Errors
/// The guest has none.
pub(crate) fn memory<T>(caller: &mut Caller<'_, State<T>>) -> Result<Memory> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    // While the module's own start function runs, the guest is not complete yet.
    let found = caller.get_export("memory").and_then(wasmtime::Extern::into_memory);
    let memory = found.ok_or_else(|| Error::misuse("the guest exports no memory"))?;
    caller.data_mut().memory = Some(memory);
    Ok(memory)
}

/// The bytes at `pointer`, for a look.
pub(crate) fn view<'a, T: 'static>(
    caller: &'a mut Caller<'_, State<T>>,
    pointer: u32,
    length: u32,
) -> Result<&'a [u8]> {
    let memory = memory(caller)?;
    part(memory.data(&*caller), pointer, length).ok_or_else(|| outside(pointer, length).into())
}

/// A copy of the bytes at `pointer`.
pub(crate) fn read<T: 'static>(caller: &mut Caller<'_, State<T>>, pointer: u32, length: u32) -> Result<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    view(caller, pointer, length).map(<[u8]>::to_vec)
}

/// Writes all of `bytes` to `pointer`.
pub(crate) fn write<T: 'static>(caller: &mut Caller<'_, State<T>>, pointer: u32, bytes: &[u8]) -> Result<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    let memory = memory(caller)?;
    let length = bytes.len();
    let at = pointer as usize;
    match memory.data_mut(&mut *caller).get_mut(at..at.saturating_add(length)) {
        Some(place) => {
            place.copy_from_slice(bytes);
            Ok(())
        }
        None => Err(outside(pointer, u32::try_from(length).unwrap_or(u32::MAX)).into()),
    }
}

/// Memory and state at once, for host functions that fill the guest's buffers from what the state holds.
pub(crate) fn both<'a, T: 'static>(caller: &'a mut Caller<'_, State<T>>) -> Result<(&'a mut [u8], &'a mut State<T>)> {
    let memory = memory(caller)?;
    Ok(memory.data_and_store_mut(&mut *caller))
}

/// The part of `data` that begins at `pointer`, if all of it is there.
pub(crate) fn part(data: &[u8], pointer: u32, length: u32) -> Option<&[u8]> {
    let begin = pointer as usize;
    data.get(begin..begin.checked_add(length as usize)?)
}

/// As [`part`], to be written to.
pub(crate) fn part_mut(data: &mut [u8], pointer: u32, length: u32) -> Option<&mut [u8]> {
    let begin = pointer as usize;
    data.get_mut(begin..begin.checked_add(length as usize)?)
}

/// What a guest hears of that points outside of its memory.
pub(crate) fn outside(pointer: u32, length: u32) -> Error {
    Error::misuse(format!("it gave {length} bytes at {pointer}, which are not all in its memory"))
}
