//! Contexts, ticks, and where a stream goes on.

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Host, Out, ROOT, get, get_pairs, get_text, giving, now, put_word};
use crate::abi::proxy_wasm::status::{Direction, Status};
use crate::abi::proxy_wasm::stream::{LocalResponse, Window};
use crate::store::State;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(ENV, "proxy_set_tick_period_milliseconds", |caller: Host<'_>, period: u32| {
        now(caller, "proxy_set_tick_period_milliseconds", Allowed::Later, |caller| {
            caller.data_mut().abi.tick = period;
            Ok(())
        })
    })?;
    linker.func_wrap(ENV, "proxy_set_effective_context", |caller: Host<'_>, context: u32| {
        now(caller, "proxy_set_effective_context", Allowed::Later, |caller| {
            let abi = &mut caller.data_mut().abi;
            let is_known = context == ROOT || abi.stream.as_ref().is_some_and(|stream| stream.id == context);
            if !is_known {
                return Err(Status::BadArgument.into());
            }
            abi.context = context;
            Ok(())
        })
    })?;
    linker.func_wrap(ENV, "proxy_done", |caller: Host<'_>| {
        now(caller, "proxy_done", Allowed::Later, |caller| {
            let abi = &mut caller.data_mut().abi;
            if abi.unfinished != Some(abi.context) {
                return Err(Status::NotFound.into());
            }
            abi.unfinished = None;
            Ok(())
        })
    })?;
    linker.func_wrap(ENV, "proxy_continue_stream", |caller: Host<'_>, kind: u32| {
        now(caller, "proxy_continue_stream", Allowed::Later, |caller| resume(caller, kind))
    })?;
    // The two names of 0.1.0 for the same.
    linker.func_wrap(ENV, "proxy_continue_request", |caller: Host<'_>| {
        now(caller, "proxy_continue_request", Allowed::Later, |caller| resume(caller, 0))
    })?;
    linker.func_wrap(ENV, "proxy_continue_response", |caller: Host<'_>| {
        now(caller, "proxy_continue_response", Allowed::Later, |caller| resume(caller, 1))
    })?;
    linker.func_wrap(ENV, "proxy_clear_route_cache", |caller: Host<'_>| {
        now(caller, "proxy_clear_route_cache", Allowed::Later, |_| Ok(()))
    })?;
    linker.func_wrap(ENV, "proxy_close_stream", |caller: Host<'_>, kind: u32| {
        now(caller, "proxy_close_stream", Allowed::Later, |caller| {
            if kind > 3 {
                return Err(Status::BadArgument.into());
            }
            caller.data_mut().abi.stream()?.is_closed = true;
            Ok(())
        })
    })?;
    linker.func_wrap_async(ENV, "proxy_get_status", |caller: Host<'_>, (code, place, length): (u32, u32, u32)| {
        Box::new(giving(caller, "proxy_get_status", place, length, move |caller| {
            let (number, message) = match &caller.data().abi.window {
                Window::GrpcClose { code, message } => (*code, message.clone()),
                Window::HttpReply { headers, .. } => (http_status(headers), String::new()),
                _ => (0, String::new()),
            };
            put_word(caller, code, number)?;
            Ok(message.into_bytes())
        }))
    })?;
    linker.func_wrap(
        ENV,
        "proxy_send_local_response",
        |caller: Host<'_>,
         status: u32,
         details: u32,
         details_length: u32,
         body: u32,
         body_length: u32,
         headers: u32,
         headers_length: u32,
         grpc_status: i32| {
            now(caller, "proxy_send_local_response", Allowed::Later, |caller| {
                let response = LocalResponse {
                    status,
                    details: get_text(caller, details, details_length)?,
                    headers: get_pairs(caller, headers, headers_length)?,
                    body: get(caller, body, body_length)?,
                    grpc_status: u32::try_from(grpc_status).ok(),
                };
                if !(100..=999).contains(&status) || response.body.len() > caller.data().abi.settings.body_limit {
                    return Err(Status::BadArgument.into());
                }
                let stream = caller.data_mut().abi.stream()?;
                if stream.has_answered || stream.local.is_some() {
                    return Err(Status::BadArgument.into());
                }
                stream.local = Some(response);
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn resume(caller: &mut Host<'_>, kind: u32) -> Out {
    let direction = match kind {
        0 => Direction::Request,
        1 => Direction::Response,
        // Streams of bytes have no callbacks here, so nothing of them was held back.
        2 | 3 => return Ok(()),
        _ => return Err(Status::BadArgument.into()),
    };
    caller.data_mut().abi.stream()?.message(direction).is_resumed = true;
    Ok(())
}

fn http_status(headers: &[(Vec<u8>, Vec<u8>)]) -> u32 {
    let status = headers.iter().find(|(name, _)| name == b":status");
    status.and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or_default()
}
