//! The three standard streams; every other descriptor does not exist.

use bytes::Buf;
use wasmtime::{Caller, FuncType, Linker, Val, ValType};

use super::errno;
use crate::memory::{part, read, write};
use crate::store::State;

/// Buffers that one call may name.
const MOST_BUFFERS: u32 = 1024;

/// Functions that could only be about files and sockets: `i` stands for a parameter of 32 bits, `I` for one of 64.
const WITHOUT_FILES: [(&str, &str); 32] = [
    ("fd_advise", "iIIi"),
    ("fd_allocate", "iII"),
    ("fd_close", "i"),
    ("fd_datasync", "i"),
    ("fd_fdstat_set_rights", "iII"),
    ("fd_filestat_set_size", "iI"),
    ("fd_filestat_set_times", "iIIi"),
    ("fd_pread", "iiiIi"),
    ("fd_prestat_dir_name", "iii"),
    ("fd_prestat_get", "ii"),
    ("fd_pwrite", "iiiIi"),
    ("fd_readdir", "iiiIi"),
    ("fd_renumber", "ii"),
    ("fd_seek", "iIii"),
    ("fd_sync", "i"),
    ("fd_tell", "ii"),
    ("path_create_directory", "iii"),
    ("path_filestat_get", "iiiii"),
    ("path_filestat_set_times", "iiiiIIi"),
    ("path_link", "iiiiiii"),
    ("path_open", "iiiiiIIii"),
    ("path_readlink", "iiiiii"),
    ("path_remove_directory", "iii"),
    ("path_rename", "iiiiii"),
    ("path_symlink", "iiiii"),
    ("path_unlink_file", "iii"),
    ("sock_accept", "iii"),
    ("sock_recv", "iiiiii"),
    ("sock_send", "iiiii"),
    ("sock_shutdown", "ii"),
    ("fd_filestat_get", "ii"),
    ("fd_fdstat_set_flags", "ii"),
];

pub(super) fn add<T: Send + 'static>(linker: &mut Linker<State<T>>, module: &str) -> wasmtime::Result<()> {
    for (name, parameters) in WITHOUT_FILES {
        let parameters = parameters.chars().map(|one| if one == 'i' { ValType::I32 } else { ValType::I64 });
        let of = FuncType::new(linker.engine(), parameters, [ValType::I32]);
        // Programs set flags of their own streams at the start and take a refusal badly.
        let is_harmless = name == "fd_fdstat_set_flags";
        linker.func_new(module, name, of, move |_, parameters, results| {
            let descriptor = parameters.first().and_then(Val::i32).unwrap_or(-1);
            let is_stream = (0..=2).contains(&descriptor);
            results[0] = Val::I32(if is_harmless && is_stream { errno::SUCCESS } else { errno::BADF });
            Ok(())
        })?;
    }
    linker.func_wrap(module, "fd_fdstat_get", |mut caller: Caller<'_, State<T>>, descriptor: u32, result: u32| {
        let rights: u64 = match descriptor {
            0 => 1 << 1,
            1 | 2 => 1 << 6,
            _ => return Ok(errno::BADF),
        };
        // A stream of unknown type without flags, and what can be done with it.
        let mut stat = [0; 24];
        stat[8..16].copy_from_slice(&rights.to_le_bytes());
        write(&mut caller, result, &stat)?;
        wasmtime::error::Ok(errno::SUCCESS)
    })?;
    linker.func_wrap(
        module,
        "fd_read",
        |mut caller: Caller<'_, State<T>>, descriptor: u32, buffers: u32, count: u32, result: u32| {
            if descriptor != 0 {
                return Ok(errno::BADF);
            }
            let Some(buffers) = list(&mut caller, buffers, count)? else { return Ok(errno::INVAL) };
            let mut total = 0u32;
            for (pointer, length) in buffers {
                let input = &mut caller.data_mut().wasi.input;
                let portion = input.split_to(input.remaining().min(length as usize));
                write(&mut caller, pointer, &portion)?;
                total = total.saturating_add(u32::try_from(portion.len()).unwrap_or(u32::MAX));
                if portion.len() < length as usize {
                    break;
                }
            }
            write(&mut caller, result, &total.to_le_bytes())?;
            wasmtime::error::Ok(errno::SUCCESS)
        },
    )?;
    linker.func_wrap(
        module,
        "fd_write",
        |mut caller: Caller<'_, State<T>>, descriptor: u32, buffers: u32, count: u32, result: u32| {
            if !matches!(descriptor, 1 | 2) {
                return Ok(errno::BADF);
            }
            let Some(buffers) = list(&mut caller, buffers, count)? else { return Ok(errno::INVAL) };
            let mut total = 0u32;
            for (pointer, length) in buffers {
                let (memory, state) = crate::memory::both(&mut caller)?;
                let bytes = part(memory, pointer, length).ok_or_else(|| crate::memory::outside(pointer, length))?;
                let wasi = &mut state.wasi;
                if descriptor == 1 {
                    wasi.output.write(bytes)
                } else {
                    wasi.errors.write(bytes)
                }
                total = total.saturating_add(length);
            }
            write(&mut caller, result, &total.to_le_bytes())?;
            wasmtime::error::Ok(errno::SUCCESS)
        },
    )?;
    Ok(())
}

/// Pointers and lengths of a list of buffers; `None` when there are too many.
fn list<T: 'static>(
    caller: &mut Caller<'_, State<T>>,
    pointer: u32,
    count: u32,
) -> wasmtime::Result<Option<Vec<(u32, u32)>>> {
    if count > MOST_BUFFERS {
        return Ok(None);
    }
    let bytes = read(caller, pointer, count * 8)?;
    let words: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    Ok(Some(words.as_chunks::<2>().0.iter().map(|[pointer, length]| (*pointer, *length)).collect()))
}
