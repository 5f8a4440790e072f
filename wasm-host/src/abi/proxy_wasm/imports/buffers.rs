//! Bodies, configurations and other bytes.

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Fail, Host, get, giving, now, put_word};
use crate::abi::proxy_wasm::status::Status;
use crate::abi::proxy_wasm::stream::Window;
use crate::store::State;

/// The buffers that are there at all, numbered as in the ABI.
const REQUEST_BODY: u32 = 0;
const RESPONSE_BODY: u32 = 1;
const DOWNSTREAM: u32 = 2;
const UPSTREAM: u32 = 3;
const HTTP_REPLY: u32 = 4;
const GRPC_MESSAGE: u32 = 5;
const VM_CONFIGURATION: u32 = 6;
const PLUGIN_CONFIGURATION: u32 = 7;
const DATA: u32 = 8;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        ENV,
        "proxy_get_buffer_bytes",
        |caller: Host<'_>, (buffer, start, most, place, length): (u32, u32, u32, u32, u32)| {
            Box::new(giving(caller, "proxy_get_buffer_bytes", place, length, move |caller| {
                start.checked_add(most).ok_or(Status::BadArgument)?;
                let bytes = read(&caller.data().abi, buffer)?;
                let begin = bytes.len().min(start as usize);
                let end = bytes.len().min(begin + most as usize);
                Ok(bytes[begin..end].to_vec())
            }))
        },
    )?;
    // The name of 0.1.0 for the configuration that is at hand.
    linker.func_wrap_async(ENV, "proxy_get_configuration", |caller: Host<'_>, (place, length): (u32, u32)| {
        Box::new(giving(caller, "proxy_get_configuration", place, length, |caller| {
            let abi = &caller.data().abi;
            let buffer = if matches!(abi.window, Window::VmStart) { VM_CONFIGURATION } else { PLUGIN_CONFIGURATION };
            read(abi, buffer).map(<[u8]>::to_vec)
        }))
    })?;
    linker.func_wrap(ENV, "proxy_get_buffer_status", |caller: Host<'_>, buffer: u32, length: u32, unused: u32| {
        now(caller, "proxy_get_buffer_status", Allowed::Later, |caller| {
            let bytes = read(&caller.data().abi, buffer)?.len();
            put_word(caller, length, u32::try_from(bytes).unwrap_or(u32::MAX))?;
            put_word(caller, unused, 0)
        })
    })?;
    linker.func_wrap(
        ENV,
        "proxy_set_buffer_bytes",
        |caller: Host<'_>, buffer: u32, start: u32, size: u32, pointer: u32, length: u32| {
            now(caller, "proxy_set_buffer_bytes", Allowed::Later, |caller| {
                let new = get(caller, pointer, length)?;
                let abi = &mut caller.data_mut().abi;
                let limit = abi.settings.body_limit;
                let bytes = write(abi, buffer)?;
                // Behind the end means at the end.
                let begin = bytes.len().min(start as usize);
                let end = bytes.len().min(begin.saturating_add(size as usize));
                if bytes.len() - (end - begin) + new.len() > limit {
                    return Err(Status::BadArgument.into());
                }
                bytes.splice(begin..end, new);
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn read(abi: &Abi, buffer: u32) -> Result<&[u8], Fail> {
    let stream = abi.stream.as_ref().filter(|stream| stream.id == abi.context);
    let found = match (buffer, &abi.window) {
        (REQUEST_BODY, _) => stream.map(|stream| stream.request.body.as_slice()),
        (RESPONSE_BODY, _) => stream.map(|stream| stream.response.body.as_slice()),
        (HTTP_REPLY, Window::HttpReply { body, .. }) => Some(body.as_slice()),
        (GRPC_MESSAGE, Window::GrpcMessage(message)) => Some(message.as_slice()),
        (VM_CONFIGURATION, Window::VmStart) => Some(abi.settings.vm_configuration.as_ref()),
        (PLUGIN_CONFIGURATION, Window::Configure) => Some(abi.settings.plugin_configuration.as_ref()),
        (DATA, Window::Data(data)) => Some(data.as_slice()),
        (DOWNSTREAM | UPSTREAM | HTTP_REPLY..=DATA, _) => None,
        _ => return Err(Status::BadArgument.into()),
    };
    found.ok_or(Status::NotFound.into())
}

fn write(abi: &mut Abi, buffer: u32) -> Result<&mut Vec<u8>, Fail> {
    let context = abi.context;
    let stream = abi.stream.as_mut().filter(|stream| stream.id == context);
    let found = match (buffer, &mut abi.window) {
        (REQUEST_BODY, _) => stream.map(|stream| &mut stream.request.body),
        // Also before there is a response: that is how a function answers.
        (RESPONSE_BODY, _) => stream.map(|stream| &mut stream.response.body),
        (DATA, Window::Data(data)) => Some(data),
        (DOWNSTREAM..=DATA, _) => None,
        _ => return Err(Status::BadArgument.into()),
    };
    found.ok_or(Status::NotFound.into())
}
