//! Requests that a guest sends, and functions that only this host has.

use std::time::Duration;

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{
    Abi, Allowed, Call, Event, Fail, Host, check, get, get_pairs, get_text, given, now, put_word,
};
use crate::abi::proxy_wasm::host::{CallError, HttpCall};
use crate::abi::proxy_wasm::map::encoded_len;
use crate::abi::proxy_wasm::status::Status;
use crate::store::State;

/// Calls that one guest may have under way.
const MOST_CALLS: usize = 100;

/// How long a call may take when the guest does not say.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(
        ENV,
        "proxy_http_call",
        |caller: Host<'_>,
         upstream: u32,
         upstream_length: u32,
         headers: u32,
         headers_length: u32,
         body: u32,
         body_length: u32,
         trailers: u32,
         trailers_length: u32,
         timeout: u32,
         result: u32| {
            now(caller, "proxy_http_call", Allowed::Later, |caller| {
                let upstream = upstream_at(caller, upstream, upstream_length, Status::BadArgument)?;
                let call = HttpCall {
                    upstream,
                    headers: get_pairs(caller, headers, headers_length)?,
                    body: get(caller, body, body_length)?.into(),
                    trailers: get_pairs(caller, trailers, trailers_length)?,
                    timeout: limit(timeout),
                };
                for name in [":method", ":path", ":authority"] {
                    if !call.headers.iter().any(|(key, value)| key == name.as_bytes() && !value.is_empty()) {
                        return Err(Status::BadArgument.into());
                    }
                }
                let id = begin(caller, Call::Http)?;
                put_word(caller, result, id)?;
                send(&mut caller.data_mut().abi, id, call);
                Ok(())
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_call_foreign_function",
        |mut caller: Host<'_>,
         (name, name_length, arguments, arguments_length, place, length): (u32, u32, u32, u32, u32, u32)| {
            Box::new(async move {
                const NAME: &str = "proxy_call_foreign_function";
                check(&caller, NAME, Allowed::Later)?;
                let asked = get_text(&mut caller, name, name_length)
                    .and_then(|name| Ok((name, get(&mut caller, arguments, arguments_length)?)));
                let answer = match asked {
                    Err(fail) => Err(fail),
                    Ok((name, arguments)) => {
                        let abi = &caller.data().abi;
                        let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
                        match host.foreign(&who, &name, arguments.into()).await {
                            None => Err(Status::NotFound.into()),
                            Some(answer) => answered(&mut caller, answer).map(Vec::from),
                        }
                    }
                };
                given(caller, NAME, place, length, answer).await
            })
        },
    )?;
    Ok(())
}

/// The answer of the world outside; a failure is logged, and the guest learns that there was one.
pub(super) fn answered<T>(caller: &mut Host<'_>, answer: Result<T, CallError>) -> Result<T, Fail> {
    answer.map_err(|error| {
        let state = caller.data();
        let line = format!("{}: {error}", state.guest);
        state.abi.settings.log.write(crate::log::Level::Warn, &line);
        Status::InternalFailure.into()
    })
}

/// An upstream that the guest may use; `refusal` is what the SDKs expect otherwise.
pub(super) fn upstream_at(caller: &mut Host<'_>, pointer: u32, length: u32, refusal: Status) -> Result<String, Fail> {
    let upstream = get_text(caller, pointer, length)?;
    let abi = &caller.data().abi;
    if !abi.settings.host.has_upstream(&abi.caller, &upstream) {
        let missing = abi.settings.host.missing_upstream(&upstream).map(|missing| format!(": {missing}"));
        let missing = missing.unwrap_or_default();
        let line = format!("{}: the upstream '{upstream}' is not granted{missing}", caller.data().guest);
        abi.settings.log.write(crate::log::Level::Warn, &line);
        return Err(refusal.into());
    }
    Ok(upstream)
}

/// The number of a new call.
pub(super) fn begin(caller: &mut Host<'_>, call: Call) -> Result<u32, Fail> {
    let abi = &mut caller.data_mut().abi;
    if abi.calls.len() >= MOST_CALLS {
        return Err(Status::InternalFailure.into());
    }
    Ok(abi.new_call(call))
}

pub(super) fn limit(milliseconds: u32) -> Duration {
    if milliseconds == 0 { TIMEOUT } else { Duration::from_millis(milliseconds.into()) }
}

fn send(abi: &mut Abi, id: u32, call: HttpCall) {
    let (host, who, log) = (abi.settings.host.clone(), abi.caller.clone(), abi.settings.log.clone());
    let (events, most) = (abi.events.clone(), abi.settings.body_limit);
    abi.spawn(id, async move {
        let (upstream, timeout) = (call.upstream.clone(), call.timeout);
        let outcome = match tokio::time::timeout(timeout, host.http_call(&who, call)).await {
            Ok(Ok(reply)) if reply.body.len() + encoded_len(&reply.headers) > most => {
                Err(format!("the answer is longer than {most} bytes"))
            }
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {timeout:?}")),
        };
        if let Err(error) = &outcome {
            log.write(crate::log::Level::Warn, &format!("{}: calling '{upstream}': {error}", who.guest));
        }
        let _ = events.send(Event::Http { call: id, reply: outcome.ok() }).await;
    });
}
