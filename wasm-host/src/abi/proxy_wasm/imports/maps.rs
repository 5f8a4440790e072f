//! Headers, trailers and metadata.

use wasmtime::Linker;

use super::ENV;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Fail, Host, Out, get, get_pairs, giving, now, put_word};
use crate::abi::proxy_wasm::map::{MOST_BYTES, Pairs, encode, encoded_len};
use crate::abi::proxy_wasm::status::Status;
use crate::abi::proxy_wasm::stream::Window;
use crate::store::State;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap(ENV, "proxy_get_header_map_size", |caller: Host<'_>, map: u32, result: u32| {
        now(caller, "proxy_get_header_map_size", Allowed::Later, |caller| {
            let size = encoded_len(read(&caller.data().abi, map)?);
            put_word(caller, result, u32::try_from(size).unwrap_or(u32::MAX))
        })
    })?;
    linker.func_wrap_async(
        ENV,
        "proxy_get_header_map_pairs",
        |caller: Host<'_>, (map, place, length): (u32, u32, u32)| {
            Box::new(giving(caller, "proxy_get_header_map_pairs", place, length, move |caller| {
                Ok(encode(read(&caller.data().abi, map)?))
            }))
        },
    )?;
    linker.func_wrap(ENV, "proxy_set_header_map_pairs", |caller: Host<'_>, map: u32, pointer: u32, length: u32| {
        now(caller, "proxy_set_header_map_pairs", Allowed::Later, |caller| {
            let mut pairs = get_pairs(caller, pointer, length)?;
            pairs.iter_mut().for_each(|(key, _)| key.make_ascii_lowercase());
            *write(&mut caller.data_mut().abi, map)? = pairs;
            Ok(())
        })
    })?;
    linker.func_wrap_async(
        ENV,
        "proxy_get_header_map_value",
        |caller: Host<'_>, (map, key, key_length, place, length): (u32, u32, u32, u32, u32)| {
            Box::new(giving(caller, "proxy_get_header_map_value", place, length, move |caller| {
                let key = get(caller, key, key_length)?;
                let pairs = read(&caller.data().abi, map)?;
                let values: Vec<&[u8]> = of(pairs, &key).map(|(_, value)| value.as_slice()).collect();
                if values.is_empty() {
                    return Err(Status::NotFound.into());
                }
                // Several lines of one header are one value with commas, as in Envoy.
                Ok(values.join(&b","[..]))
            }))
        },
    )?;
    for (name, is_added) in [("proxy_add_header_map_value", true), ("proxy_replace_header_map_value", false)] {
        linker.func_wrap(
            ENV,
            name,
            move |caller: Host<'_>, map: u32, key: u32, key_length: u32, value: u32, value_length: u32| {
                now(caller, name, Allowed::Later, |caller| {
                    let mut key = get(caller, key, key_length)?;
                    key.make_ascii_lowercase();
                    let value = get(caller, value, value_length)?;
                    let pairs = write(&mut caller.data_mut().abi, map)?;
                    put(pairs, key, value, is_added)
                })
            },
        )?;
    }
    linker.func_wrap(
        ENV,
        "proxy_remove_header_map_value",
        |caller: Host<'_>, map: u32, key: u32, key_length: u32| {
            now(caller, "proxy_remove_header_map_value", Allowed::Later, |caller| {
                let key = get(caller, key, key_length)?;
                write(&mut caller.data_mut().abi, map)?.retain(|(name, _)| !name.eq_ignore_ascii_case(&key));
                Ok(())
            })
        },
    )?;
    Ok(())
}

fn of<'a>(pairs: &'a Pairs, key: &'a [u8]) -> impl Iterator<Item = &'a (Vec<u8>, Vec<u8>)> {
    pairs.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(key))
}

/// Adds a pair, or puts it in the place of the first of its name.
fn put(pairs: &mut Pairs, key: Vec<u8>, value: Vec<u8>, is_added: bool) -> Out {
    if encoded_len(pairs) + key.len() + value.len() > MOST_BYTES {
        return Err(Status::BadArgument.into());
    }
    let first = pairs.iter().position(|(name, _)| name.eq_ignore_ascii_case(&key));
    match first {
        Some(first) if !is_added => {
            pairs[first].1 = value;
            let mut index = 0;
            pairs.retain(|(name, _)| {
                index += 1;
                index - 1 <= first || !name.eq_ignore_ascii_case(&key)
            });
        }
        _ => pairs.push((key, value)),
    }
    Ok(())
}

/// A list by its number in the ABI.
fn read(abi: &Abi, map: u32) -> Result<&Pairs, Fail> {
    let stream = abi.stream.as_ref().filter(|stream| stream.id == abi.context);
    let found = match (map, &abi.window) {
        (0, _) => stream.map(|stream| &stream.request.headers),
        (1, _) => stream.map(|stream| &stream.request.trailers),
        (2, _) => stream.map(|stream| &stream.response.headers),
        (3, _) => stream.map(|stream| &stream.response.trailers),
        (4, Window::GrpcMetadata { pairs, is_trailing: false }) => Some(pairs),
        (5, Window::GrpcMetadata { pairs, is_trailing: true }) => Some(pairs),
        (6, Window::HttpReply { headers, .. }) => Some(headers),
        (7, Window::HttpReply { trailers, .. }) => Some(trailers),
        (4..=7, _) => None,
        _ => return Err(Status::BadArgument.into()),
    };
    // Guests expect an empty list, not a refusal, of what is not there now.
    Ok(found.unwrap_or(const { &Vec::new() }))
}

/// Only the stream's own lists can be changed.
fn write(abi: &mut Abi, map: u32) -> Result<&mut Pairs, Fail> {
    if map > 3 {
        return Err(Status::BadArgument.into());
    }
    let stream = abi.stream()?;
    Ok(match map {
        0 => &mut stream.request.headers,
        1 => &mut stream.request.trailers,
        2 => &mut stream.response.headers,
        _ => &mut stream.response.trailers,
    })
}
