//! `read_body` and `write_body`.

use bytes::{Bytes, BytesMut};
use wasmtime::{Caller, Linker};

use super::exchange::{Exchange, Features, Phase};
use super::{Abi, HOST};
use crate::error::{Error, Result};
use crate::memory::{read, write};
use crate::store::State;

type Host<'a> = Caller<'a, State<Abi>>;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;
const END: u64 = 1 << 32;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(HOST, "read_body", |mut caller: Host<'_>, (kind, buffer, limit): (u32, u32, u32)| {
        Box::new(async move {
            let exchange = caller.data_mut().abi.exchange()?;
            if limit == 0 {
                return Err(Error::misuse("buf_limit==0 reading body").into());
            }
            let (bytes, is_end) = match kind {
                REQUEST => request(exchange, limit as usize).await?,
                RESPONSE => response(exchange, limit as usize)?,
                _ => return Err(unsupported(kind).into()),
            };
            write(&mut caller, buffer, &bytes)?;
            wasmtime::error::Ok(if is_end { END } else { 0 } | bytes.len() as u64)
        })
    })?;
    linker.func_wrap(HOST, "write_body", |mut caller: Host<'_>, kind: u32, pointer: u32, length: u32| {
        let exchange = caller.data_mut().abi.exchange()?;
        match kind {
            REQUEST => exchange.before_next("write", "request body")?,
            RESPONSE => exchange.before_next_or(Features::BUFFER_RESPONSE, "write", "response body")?,
            _ => return Err(unsupported(kind).into()),
        }
        let bytes = read(&mut caller, pointer, length)?;
        let limit = caller.data().abi.settings.body_limit;
        let exchange = caller.data_mut().abi.exchange()?;
        let body = if kind == REQUEST {
            exchange.request_written.get_or_insert_default()
        } else {
            if exchange.phase == Phase::AfterNext && !exchange.is_rewritten {
                exchange.is_rewritten = true;
                exchange.response_body = BytesMut::new();
            }
            &mut exchange.response_body
        };
        if body.len() + bytes.len() > limit {
            return Err(Error::misuse(format!("the body is longer than the {limit} bytes that are kept of one")).into());
        }
        body.extend_from_slice(&bytes);
        wasmtime::error::Ok(())
    })?;
    Ok(())
}

fn unsupported(kind: u32) -> Error {
    Error::misuse(format!("unsupported body kind: {kind}"))
}

async fn request(exchange: &mut Exchange, limit: usize) -> Result<(Bytes, bool)> {
    exchange.before_next_or(Features::BUFFER_REQUEST, "read", "request body")?;
    if exchange.keeps_request() {
        exchange.keep_request().await?;
    }
    if let Some((body, read)) = &mut exchange.request_kept {
        let end = body.len().min(*read + limit);
        let portion = body.slice(*read..end);
        *read = end;
        return Ok((portion, end == body.len()));
    }
    let Some(incoming) = &mut exchange.incoming else { return Ok((Bytes::new(), true)) };
    incoming.read(limit).await.map_err(|error| Error::misuse(format!("error reading body: {error}")))
}

fn response(exchange: &mut Exchange, limit: usize) -> Result<(Bytes, bool)> {
    if !exchange.features.has(Features::BUFFER_RESPONSE) {
        return Err(Error::misuse("can't read response body unless buffer_response is enabled"));
    }
    let body = &exchange.response_body;
    let begin = exchange.response_read.min(body.len());
    let end = body.len().min(begin + limit);
    exchange.response_read = end;
    Ok((Bytes::copy_from_slice(&body[begin..end]), end == body.len()))
}
