//! Header fields and trailers.

use http::header::{HOST as HOST_HEADER, HeaderMap, HeaderName, HeaderValue};
use wasmtime::{Caller, Linker};

use super::exchange::{Exchange, Features, Phase};
use super::{Abi, HOST};
use crate::error::{Error, Result};
use crate::memory::{both, outside, part_mut, read};
use crate::store::State;

type Host<'a> = Caller<'a, State<Abi>>;

/// The four lists of fields, as guests number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Request,
    Response,
    RequestTrailers,
    ResponseTrailers,
}

impl Kind {
    fn of(number: u32) -> Result<Self> {
        match number {
            0 => Ok(Self::Request),
            1 => Ok(Self::Response),
            2 => Ok(Self::RequestTrailers),
            3 => Ok(Self::ResponseTrailers),
            _ => Err(Error::misuse(format!("unsupported header kind: {number}"))),
        }
    }

    fn is_trailers(self) -> bool {
        matches!(self, Self::RequestTrailers | Self::ResponseTrailers)
    }
}

fn fields(exchange: &mut Exchange, kind: Kind) -> &mut HeaderMap {
    match kind {
        Kind::Request => &mut exchange.request.headers,
        Kind::Response => &mut exchange.response.headers,
        Kind::RequestTrailers => &mut exchange.request_trailers,
        Kind::ResponseTrailers => &mut exchange.response_trailers,
    }
}

/// # Errors
/// These fields cannot be changed now.
fn check_mutable(exchange: &Exchange, kind: Kind, operation: &str) -> Result<()> {
    if kind.is_trailers() && !exchange.features.has(Features::TRAILERS) {
        return Err(Error::misuse(format!("can't {operation} trailers unless trailers is enabled")));
    }
    match kind {
        Kind::Request => exchange.before_next(operation, "request header"),
        Kind::RequestTrailers => exchange.before_next(operation, "request trailer"),
        Kind::Response => exchange.before_next_or(Features::BUFFER_RESPONSE, operation, "response header"),
        Kind::ResponseTrailers => exchange.before_next_or(Features::BUFFER_RESPONSE, operation, "response trailer"),
    }
}

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        HOST,
        "get_header_names",
        |mut caller: Host<'_>, (kind, buffer, limit): (u32, u32, u32)| {
            Box::new(async move {
                let kind = Kind::of(kind)?;
                let exchange = readable(&mut caller, kind).await?;
                let mut names: Vec<String> = match exchange {
                    Some(exchange) => fields(exchange, kind).keys().map(|name| name.as_str().to_owned()).collect(),
                    None => Vec::new(),
                };
                if kind == Kind::Request && names.iter().all(|name| name != "host") && host(&mut caller)?.is_some() {
                    names.push("host".into());
                }
                names.sort_unstable();
                give_list(&mut caller, names.iter().map(String::as_bytes), buffer, limit)
            })
        },
    )?;
    linker.func_wrap_async(
        HOST,
        "get_header_values",
        |mut caller: Host<'_>, (kind, name, length, buffer, limit): (u32, u32, u32, u32, u32)| {
            Box::new(async move {
                let name = name_at(&mut caller, name, length)?;
                let kind = Kind::of(kind)?;
                let exchange = readable(&mut caller, kind).await?;
                let mut values: Vec<Vec<u8>> = match (exchange, &name) {
                    (Some(exchange), Some(name)) => {
                        fields(exchange, kind).get_all(name).iter().map(|value| value.as_bytes().to_vec()).collect()
                    }
                    _ => Vec::new(),
                };
                if kind == Kind::Request && values.is_empty() && name == Some(HOST_HEADER) {
                    values.extend(host(&mut caller)?.map(String::into_bytes));
                }
                give_list(&mut caller, values.iter().map(Vec::as_slice), buffer, limit)
            })
        },
    )?;
    for (function, operation) in [("set_header_value", "set"), ("add_header_value", "add")] {
        linker.func_wrap(
            HOST,
            function,
            move |mut caller: Host<'_>, kind: u32, name: u32, name_length: u32, value: u32, value_length: u32| {
                let name = name_at(&mut caller, name, name_length)?;
                let kind = Kind::of(kind)?;
                check_mutable(caller.data_mut().abi.exchange()?, kind, operation)?;
                let name = name.ok_or_else(|| Error::misuse("this is no name of a header"))?;
                let value = HeaderValue::from_bytes(&read(&mut caller, value, value_length)?);
                let value = value.map_err(|_| Error::misuse(format!("the value for header {name} cannot be sent")))?;
                let fields = fields(caller.data_mut().abi.exchange()?, kind);
                if operation == "set" {
                    fields.insert(name, value);
                } else {
                    let added = fields.try_append(name, value);
                    added.map_err(|_| Error::misuse("there is no room for more headers"))?;
                }
                wasmtime::error::Ok(())
            },
        )?;
    }
    linker.func_wrap(HOST, "remove_header", |mut caller: Host<'_>, kind: u32, name: u32, length: u32| {
        let name = name_at(&mut caller, name, length)?;
        let kind = Kind::of(kind)?;
        check_mutable(caller.data_mut().abi.exchange()?, kind, "remove")?;
        if let Some(name) = name {
            fields(caller.data_mut().abi.exchange()?, kind).remove(name);
        }
        wasmtime::error::Ok(())
    })?;
    Ok(())
}

/// The exchange whose fields of `kind` can be read; trailers only when the guest has asked for them. Those of the request
/// are known when its body was read.
async fn readable<'a>(caller: &'a mut Host<'_>, kind: Kind) -> Result<Option<&'a mut Exchange>> {
    let exchange = caller.data_mut().abi.exchange()?;
    if kind.is_trailers() && !exchange.features.has(Features::TRAILERS) {
        return Ok(None);
    }
    if kind == Kind::RequestTrailers && exchange.phase == Phase::BeforeNext {
        exchange.keep_request().await?;
    }
    Ok(Some(exchange))
}

/// In HTTP/2 the host is no header field.
fn host(caller: &mut Host<'_>) -> Result<Option<String>> {
    let uri = &caller.data_mut().abi.exchange()?.request.uri;
    Ok(uri.authority().map(|authority| authority.as_str().to_owned()))
}

/// A header's name; `None` for text that no header can be called.
fn name_at(caller: &mut Host<'_>, pointer: u32, length: u32) -> wasmtime::Result<Option<HeaderName>> {
    if length == 0 {
        return Err(Error::misuse("HTTP header name cannot be empty").into());
    }
    Ok(HeaderName::from_bytes(&read(caller, pointer, length)?).ok())
}

/// Writes texts, each with a NUL behind it, if all of them fit. Gives their number and their length with the NULs.
fn give_list<'a>(
    caller: &mut Host<'_>,
    texts: impl Iterator<Item = &'a [u8]>,
    buffer: u32,
    limit: u32,
) -> wasmtime::Result<u64> {
    let (mut count, mut joined) = (0u64, Vec::new());
    for text in texts {
        count += 1;
        joined.extend_from_slice(text);
        joined.push(0);
    }
    let length = u32::try_from(joined.len()).unwrap_or(u32::MAX);
    if length <= limit && length > 0 {
        let (memory, _) = both(caller)?;
        part_mut(memory, buffer, length).ok_or_else(|| outside(buffer, length))?.copy_from_slice(&joined);
    }
    Ok((count << 32) | u64::from(length))
}
