//! gRPC calls that a guest makes.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use wasmtime::Linker;

use super::ENV;
use super::calls::{begin, limit, upstream_at};
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Call, Event, Fail, Host, get, get_pairs, get_text, now, put_word};
use crate::abi::proxy_wasm::host::{GrpcCall, GrpcEvent};
use crate::abi::proxy_wasm::status::Status;
use crate::store::State;

/// Messages that wait on one side of a call.
const WAITING: usize = 64;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_grpc_call",
        |caller: Host<'_>,
         upstream: u32,
         upstream_length: u32,
         service: u32,
         service_length: u32,
         method: u32,
         method_length: u32,
         metadata: u32,
         metadata_length: u32,
         message: u32,
         message_length: u32,
         timeout: u32,
         result: u32| {
            now(caller, "proxy_grpc_call", Allowed::Later, |caller| {
                let mut call = call_at(
                    caller,
                    [upstream, upstream_length],
                    [service, service_length],
                    [method, method_length],
                    [metadata, metadata_length],
                )?;
                let message = get(caller, message, message_length)?;
                call.timeout = Some(limit(timeout));
                let id = begin(caller, Call::Unary)?;
                put_word(caller, result, id)?;
                let sender = start(&mut caller.data_mut().abi, id, call);
                // There is room for one, and then this side is closed.
                sender.try_send(message.into()).map_err(|_| Status::InternalFailure.into())
            })
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_grpc_stream",
        |caller: Host<'_>,
         upstream: u32,
         upstream_length: u32,
         service: u32,
         service_length: u32,
         method: u32,
         method_length: u32,
         metadata: u32,
         metadata_length: u32,
         result: u32| {
            now(caller, "proxy_grpc_stream", Allowed::Later, |caller| {
                let call = call_at(
                    caller,
                    [upstream, upstream_length],
                    [service, service_length],
                    [method, method_length],
                    [metadata, metadata_length],
                )?;
                let id = begin(caller, Call::Stream(None))?;
                put_word(caller, result, id)?;
                let abi = &mut caller.data_mut().abi;
                let sender = start(abi, id, call);
                abi.calls.insert(id, Call::Stream(Some(sender)));
                Ok(())
            })
        },
    )?;
    linker.func_wrap(ENV, "proxy_grpc_send", |caller: Host<'_>, id: u32, pointer: u32, length: u32, is_end: u32| {
        now(caller, "proxy_grpc_send", Allowed::Later, |caller| {
            let message = get(caller, pointer, length)?;
            let call = caller.data_mut().abi.calls.get_mut(&id).ok_or(Status::NotFound)?;
            let Call::Stream(sender) = call else { return Err(Status::BadArgument.into()) };
            let open = sender.as_ref().ok_or(Status::BadArgument)?;
            open.try_send(message.into()).map_err(|_| Status::InternalFailure)?;
            if is_end != 0 {
                *sender = None;
            }
            Ok(())
        })
    })?;
    linker.func_wrap(ENV, "proxy_grpc_cancel", |caller: Host<'_>, id: u32| {
        now(caller, "proxy_grpc_cancel", Allowed::Later, |caller| {
            match caller.data().abi.calls.get(&id) {
                Some(Call::Unary | Call::Stream(_)) => {}
                _ => return Err(Status::NotFound.into()),
            }
            caller.data_mut().abi.end_call(id);
            Ok(())
        })
    })?;
    linker.func_wrap(ENV, "proxy_grpc_close", |caller: Host<'_>, id: u32| {
        now(caller, "proxy_grpc_close", Allowed::Later, |caller| {
            match caller.data_mut().abi.calls.get_mut(&id) {
                Some(Call::Stream(sender)) => *sender = None,
                Some(Call::Unary) => {}
                _ => return Err(Status::NotFound.into()),
            }
            Ok(())
        })
    })?;
    Ok(())
}

/// What every call has; each part is a pointer and a length.
fn call_at(
    caller: &mut Host<'_>,
    upstream: [u32; 2],
    service: [u32; 2],
    method: [u32; 2],
    metadata: [u32; 2],
) -> Result<GrpcCall, Fail> {
    let upstream = upstream_at(caller, upstream[0], upstream[1], Status::ParseFailure)?;
    let (service, method) = (get_text(caller, service[0], service[1])?, get_text(caller, method[0], method[1])?);
    let metadata = get_pairs(caller, metadata[0], metadata[1])?;
    // Both ends are replaced when the call starts.
    let ((_, messages), (events, _)) = (mpsc::channel(1), mpsc::channel(1));
    Ok(GrpcCall { upstream, service, method, metadata, messages, events, timeout: None })
}

/// Starts a call; what comes back goes to the guest's events.
fn start(abi: &mut Abi, id: u32, mut call: GrpcCall) -> mpsc::Sender<Bytes> {
    let (sender, messages) = mpsc::channel(WAITING);
    let (events, mut received) = mpsc::channel(WAITING);
    call.messages = messages;
    call.events = events;
    let (host, who, guest) = (abi.settings.host.clone(), abi.caller.clone(), abi.events.clone());
    let timeout = call.timeout.unwrap_or(Duration::MAX);
    abi.spawn(id, async move {
        let forward = async {
            while let Some(event) = received.recv().await {
                let is_last = matches!(event, GrpcEvent::Close { .. });
                if guest.send(Event::Grpc { call: id, event }).await.is_err() || is_last {
                    return true;
                }
            }
            false
        };
        let both = async { tokio::join!(host.grpc_call(&who, call), forward).1 };
        let close = match tokio::time::timeout(timeout, both).await {
            Ok(true) => return,
            Ok(false) => GrpcEvent::Close { code: 2, message: "the call ended without a status".into() },
            Err(_) => GrpcEvent::Close { code: 4, message: "the call took too long".into() },
        };
        let _ = guest.send(Event::Grpc { call: id, event: close }).await;
    });
    sender
}
