//! The request line, the status and the caller's address.

use http::uri::PathAndQuery;
use http::{Method, Uri, Version};
use wasmtime::{Caller, Linker};

use super::exchange::Features;
use super::plain::give;
use super::{Abi, HOST};
use crate::error::{Error, Result};
use crate::memory::{both, read};
use crate::store::State;

type Host<'a> = Caller<'a, State<Abi>>;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(HOST, "get_method", |mut caller: Host<'_>, buffer: u32, limit: u32| {
        let (memory, state) = both(&mut caller)?;
        give(memory, state.abi.exchange()?.request.method.as_str().as_bytes(), buffer, limit)
    })?;
    linker.func_wrap(HOST, "set_method", |mut caller: Host<'_>, pointer: u32, length: u32| {
        caller.data_mut().abi.exchange()?.before_next("set", "method")?;
        let method = read(&mut caller, pointer, length)?;
        if method.is_empty() {
            return Err(Error::misuse("HTTP method cannot be empty").into());
        }
        let method = Method::from_bytes(&method).map_err(|_| Error::misuse("this is no HTTP method"))?;
        caller.data_mut().abi.exchange()?.request.method = method;
        wasmtime::error::Ok(())
    })?;
    linker.func_wrap(HOST, "get_uri", |mut caller: Host<'_>, buffer: u32, limit: u32| {
        let (memory, state) = both(&mut caller)?;
        let uri = &state.abi.exchange()?.request.uri;
        give(memory, uri.path_and_query().map_or("/", PathAndQuery::as_str).as_bytes(), buffer, limit)
    })?;
    linker.func_wrap(HOST, "set_uri", |mut caller: Host<'_>, pointer: u32, length: u32| {
        caller.data_mut().abi.exchange()?.before_next("set", "uri")?;
        let uri = read(&mut caller, pointer, length)?;
        let request = &mut caller.data_mut().abi.exchange()?.request;
        request.uri = replaced(&request.uri, &uri)?;
        wasmtime::error::Ok(())
    })?;
    linker.func_wrap(HOST, "get_protocol_version", |mut caller: Host<'_>, buffer: u32, limit: u32| {
        let (memory, state) = both(&mut caller)?;
        let version = match state.abi.exchange()?.request.version {
            Version::HTTP_10 => "HTTP/1.0",
            Version::HTTP_2 => "HTTP/2.0",
            Version::HTTP_3 => "HTTP/3.0",
            _ => "HTTP/1.1",
        };
        give(memory, version.as_bytes(), buffer, limit)
    })?;
    linker.func_wrap(HOST, "get_source_addr", |mut caller: Host<'_>, buffer: u32, limit: u32| {
        let (memory, state) = both(&mut caller)?;
        give(memory, state.abi.exchange()?.source.as_bytes(), buffer, limit)
    })?;
    linker.func_wrap(HOST, "get_status_code", |mut caller: Host<'_>| {
        let exchange = caller.data_mut().abi.exchange()?;
        if !exchange.features.has(Features::BUFFER_RESPONSE) {
            return Err(Error::misuse("can't get status code unless buffer_response is enabled").into());
        }
        wasmtime::error::Ok(u32::from(exchange.response.status.as_u16()))
    })?;
    linker.func_wrap(HOST, "set_status_code", |mut caller: Host<'_>, status: u32| {
        let exchange = caller.data_mut().abi.exchange()?;
        exchange.before_next_or(Features::BUFFER_RESPONSE, "set", "status code")?;
        exchange.set_status(status)?;
        wasmtime::error::Ok(())
    })?;
    Ok(())
}

/// `old` with another path and query. Nothing means `/`; of a whole URL only its path and query count.
fn replaced(old: &Uri, new: &[u8]) -> Result<Uri> {
    let wrong = || Error::misuse(format!("'{}' is no URI", String::from_utf8_lossy(new)));
    let target = if new.is_empty() {
        PathAndQuery::from_static("/")
    } else if new.first() == Some(&b'/') {
        PathAndQuery::try_from(new).map_err(|_| wrong())?
    } else {
        let uri = Uri::try_from(new).map_err(|_| wrong())?;
        if uri.scheme().is_none() {
            return Err(wrong());
        }
        uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"))
    };
    let mut parts = old.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_path_and_query_are_replaced() {
        let replaced = |old: &str, new: &str| {
            replaced(&old.parse().unwrap(), new.as_bytes()).map(|uri| uri.to_string()).map_err(|error| error.brief())
        };
        assert_eq!(replaced("/a?b=c", "").unwrap(), "/");
        assert_eq!(replaced("/a?b=c", "/d%26e?f=g").unwrap(), "/d%26e?f=g");
        assert_eq!(replaced("http://host:1/a", "/b").unwrap(), "http://host:1/b");
        assert_eq!(replaced("http://host:1/a", "https://other/b?c").unwrap(), "http://host:1/b?c");
        assert!(replaced("/a", "b c").unwrap_err().contains("'b c' is no URI"));
    }
}
