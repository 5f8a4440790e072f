//! Properties of the stream and of the host.

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Host, get, giving, now};
use crate::abi::proxy_wasm::map::Pairs;
use crate::abi::proxy_wasm::status::Status;
use crate::abi::proxy_wasm::stream::Stream;
use crate::store::State;

/// Properties that a guest may set in one context.
const MOST: usize = 1000;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        ENV,
        "proxy_get_property",
        |caller: Host<'_>, (path, path_length, place, length): (u32, u32, u32, u32)| {
            Box::new(giving(caller, "proxy_get_property", place, length, move |caller| {
                let path = get(caller, path, path_length)?;
                find(&mut caller.data_mut().abi, &path).ok_or(Status::NotFound.into())
            }))
        },
    )?;
    linker.func_wrap(
        ENV,
        "proxy_set_property",
        |caller: Host<'_>, path: u32, path_length: u32, value: u32, value_length: u32| {
            now(caller, "proxy_set_property", Allowed::Later, |caller| {
                let (path, value) = (get(caller, path, path_length)?, get(caller, value, value_length)?);
                // Guests give up over a refusal: without a stream there is nothing to keep it in.
                if let Ok(stream) = caller.data_mut().abi.stream()
                    && (stream.properties.len() < MOST || stream.properties.contains_key(&path))
                {
                    stream.properties.insert(path, value);
                }
                Ok(())
            })
        },
    )?;
    Ok(())
}

/// The value at a path, whose parts are set apart by NULs.
fn find(abi: &mut Abi, path: &[u8]) -> Option<Vec<u8>> {
    let trimmed = path.strip_suffix(b"\0").unwrap_or(path);
    let parts: Vec<&str> = std::str::from_utf8(trimmed).ok()?.split('\0').collect();
    match parts.as_slice() {
        ["plugin_name"] => return Some(abi.settings.plugin.clone().into_bytes()),
        ["plugin_root_id"] => return Some(abi.settings.root_id.clone().into_bytes()),
        ["plugin_vm_id"] => return Some(abi.settings.vm_id.clone().into_bytes()),
        _ => {}
    }
    if let Ok(stream) = abi.stream() {
        if let Some(value) = stream.properties.get(path).or_else(|| stream.properties.get(trimmed)) {
            return Some(value.clone());
        }
        if let Some(value) = of_stream(stream, &parts) {
            return Some(value);
        }
    }
    abi.settings.host.property(&abi.caller, &parts)
}

fn of_stream(stream: &Stream, parts: &[&str]) -> Option<Vec<u8>> {
    let request = |name: &str| header(&stream.request.headers, name);
    match parts {
        ["request", "path"] => request(":path"),
        ["request", "url_path"] => {
            let path = request(":path")?;
            Some(path.split(|byte| *byte == b'?').next()?.to_vec())
        }
        ["request", "query"] => {
            let path = request(":path")?;
            let at = path.iter().position(|byte| *byte == b'?');
            Some(at.map_or_else(Vec::new, |at| path[at + 1..].to_vec()))
        }
        ["request", "host"] => request(":authority").or_else(|| request("host")),
        ["request", "scheme"] => request(":scheme"),
        ["request", "method"] => request(":method"),
        ["request", "id"] => request("x-request-id"),
        ["request", "referer"] => request("referer"),
        ["request", "useragent"] => request("user-agent"),
        ["request", "size"] => number(stream.request.body.len() as u64),
        ["request", "headers", name] => request(name),
        ["request", "trailers", name] => header(&stream.request.trailers, name),
        ["response", "code"] => {
            let status = header(&stream.response.headers, ":status")?;
            number(std::str::from_utf8(&status).ok()?.parse().ok()?)
        }
        ["response", "size"] => number(stream.response.body.len() as u64),
        ["response", "headers", name] => header(&stream.response.headers, name),
        ["response", "trailers", name] => header(&stream.response.trailers, name),
        ["response", "code_details"] => Some(stream.local.as_ref()?.details.clone().into_bytes()),
        _ => None,
    }
}

fn header(pairs: &Pairs, name: &str) -> Option<Vec<u8>> {
    let found = pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, value)| value.clone())
}

/// Numbers are eight bytes, little endian, as in Envoy.
#[expect(clippy::unnecessary_wraps, reason = "it stands among properties that may be missing")]
fn number(value: u64) -> Option<Vec<u8>> {
    Some(value.to_le_bytes().to_vec())
}
