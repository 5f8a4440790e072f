//! Shared data and queues.

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Host, get, get_text, giving, now, put_word};
use crate::abi::proxy_wasm::status::Status;
use crate::store::State;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_set_shared_data",
        |caller: Host<'_>, key: u32, key_length: u32, value: u32, value_length: u32, cas: u32| {
            now(caller, "proxy_set_shared_data", Allowed::Later, |caller| {
                let (key, value) = (get(caller, key, key_length)?, get(caller, value, value_length)?);
                let settings = &caller.data().abi.settings;
                Ok(settings.services.set_data(&settings.vm_id, &key, &value, cas)?)
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_get_shared_data",
        |caller: Host<'_>, (key, key_length, place, length, cas): (u32, u32, u32, u32, u32)| {
            Box::new(giving(caller, "proxy_get_shared_data", place, length, move |caller| {
                let key = get(caller, key, key_length)?;
                let settings = &caller.data().abi.settings;
                let (value, number) = settings.services.data(&settings.vm_id, &key).ok_or(Status::NotFound)?;
                put_word(caller, cas, number)?;
                Ok(value)
            }))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_register_shared_queue",
        |caller: Host<'_>, name: u32, name_length: u32, result: u32| {
            now(caller, "proxy_register_shared_queue", Allowed::Later, |caller| {
                let name = get(caller, name, name_length)?;
                let abi = &mut caller.data_mut().abi;
                let notify = abi.queue_notify.clone();
                let queue = abi.settings.services.register_queue(&abi.settings.vm_id, &name, notify)?;
                if !abi.queues.contains(&queue) {
                    abi.queues.push(queue);
                }
                put_word(caller, result, queue)
            })
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_resolve_shared_queue",
        |caller: Host<'_>, vm: u32, vm_length: u32, name: u32, name_length: u32, result: u32| {
            now(caller, "proxy_resolve_shared_queue", Allowed::Later, |caller| {
                let vm = get_text(caller, vm, vm_length)?;
                let name = get(caller, name, name_length)?;
                let queue = caller.data().abi.settings.services.resolve_queue(&vm, &name).ok_or(Status::NotFound)?;
                put_word(caller, result, queue)
            })
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_enqueue_shared_queue",
        |caller: Host<'_>, queue: u32, pointer: u32, length: u32| {
            now(caller, "proxy_enqueue_shared_queue", Allowed::Later, |caller| {
                let message = get(caller, pointer, length)?;
                Ok(caller.data().abi.settings.services.enqueue(queue, &message)?)
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_dequeue_shared_queue",
        |caller: Host<'_>, (queue, place, length): (u32, u32, u32)| {
            Box::new(giving(caller, "proxy_dequeue_shared_queue", place, length, move |caller| {
                Ok(caller.data().abi.settings.services.dequeue(queue)?)
            }))
        },
    )?;
    Ok(())
}
