//! Arguments, environment, and the process's end.

use wasmtime::{Caller, Linker};

use super::{Wasi, errno};
use crate::error::Error;
use crate::memory::write;
use crate::store::State;

pub(super) fn add<T: Send + 'static>(linker: &mut Linker<State<T>>, module: &str) -> wasmtime::Result<()> {
    add_list(linker, module, "args_sizes_get", "args_get", |wasi| &wasi.arguments)?;
    add_list(linker, module, "environ_sizes_get", "environ_get", |wasi| &wasi.environment)?;
    linker.func_wrap(module, "proc_exit", |_: Caller<'_, State<T>>, code: u32| -> wasmtime::Result<()> {
        Err(Error::Exit(code).into())
    })?;
    linker.func_wrap(module, "proc_raise", |_: Caller<'_, State<T>>, _signal: i32| errno::NOSYS)?;
    linker.func_wrap_async(module, "sched_yield", |_: Caller<'_, State<T>>, (): ()| {
        Box::new(async {
            tokio::task::yield_now().await;
            errno::SUCCESS
        })
    })?;
    Ok(())
}

/// The two functions of a list of texts: how many and how long, then pointers and the texts themselves, each with a NUL
/// behind it.
fn add_list<T: Send + 'static>(
    linker: &mut Linker<State<T>>,
    module: &str,
    sizes: &str,
    list: &str,
    texts: fn(&Wasi) -> &Vec<Vec<u8>>,
) -> wasmtime::Result<()> {
    linker.func_wrap(module, sizes, move |mut caller: Caller<'_, State<T>>, count: u32, bytes: u32| {
        let texts = texts(&caller.data().wasi);
        let length: usize = texts.iter().map(|text| text.len() + 1).sum();
        let (how_many, how_long) = (word(texts.len()), word(length));
        write(&mut caller, count, &how_many)?;
        write(&mut caller, bytes, &how_long)?;
        wasmtime::error::Ok(errno::SUCCESS)
    })?;
    linker.func_wrap(module, list, move |mut caller: Caller<'_, State<T>>, pointers: u32, bytes: u32| {
        let texts = texts(&caller.data().wasi);
        let mut at = bytes;
        let (mut addresses, mut content) = (Vec::new(), Vec::new());
        for text in texts {
            addresses.extend_from_slice(&at.to_le_bytes());
            content.extend_from_slice(text);
            content.push(0);
            at = at.wrapping_add(u32::try_from(text.len() + 1).unwrap_or(u32::MAX));
        }
        write(&mut caller, pointers, &addresses)?;
        write(&mut caller, bytes, &content)?;
        wasmtime::error::Ok(errno::SUCCESS)
    })?;
    Ok(())
}

fn word(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes()
}
