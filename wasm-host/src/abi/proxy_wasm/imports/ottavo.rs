//! Ottavo's own functions: what Layotto's do not reach of the building blocks.
//!
//! Texts and bytes are pointer and length; `metadata` is a list of pairs ([`crate::abi::proxy_wasm::map`]), empty for none.

use bytes::Bytes;
use components::Metadata;
use wasmtime::Linker;

use super::ENV;
use super::calls::answered;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Fail, Host, check, get, get_pairs, get_text, given, status};
use crate::abi::proxy_wasm::map::{Pairs, encode};
use crate::abi::proxy_wasm::status::Status;
use crate::sidecar::{Binding, Event};
use crate::store::State;

/// Pointer and length.
type Place = (u32, u32);

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    add_state(linker)?;
    linker.func_wrap_async(
        ENV,
        "proxy_publish_event",
        |mut caller: Host<'_>,
         (
            pubsub,
            pubsub_length,
            topic,
            topic_length,
            data,
            data_length,
            kind,
            kind_length,
            metadata,
            metadata_length,
        ): (u32, u32, u32, u32, u32, u32, u32, u32, u32, u32)| {
            Box::new(async move {
                const NAME: &str = "proxy_publish_event";
                check(&caller, NAME, Allowed::Later)?;
                let places = [(pubsub, pubsub_length), (topic, topic_length), (kind, kind_length)];
                let out = publish(&mut caller, places, (data, data_length), (metadata, metadata_length)).await;
                status(NAME, &caller, out)
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_get_secret",
        |mut caller: Host<'_>,
         (store, store_length, name, name_length, place, length): (u32, u32, u32, u32, u32, u32)| {
            Box::new(async move {
                const NAME: &str = "proxy_get_secret";
                check(&caller, NAME, Allowed::Later)?;
                let answer = secret(&mut caller, [(store, store_length), (name, name_length)]).await;
                given(caller, NAME, place, length, answer).await
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_invoke_binding",
        |mut caller: Host<'_>,
         (name, name_length, kind, kind_length, data, data_length, metadata, metadata_length, place, length): (
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
            u32,
        )| {
            Box::new(async move {
                const NAME: &str = "proxy_invoke_binding";
                check(&caller, NAME, Allowed::Later)?;
                let places = [(name, name_length), (kind, kind_length)];
                let answer = bind(&mut caller, places, (data, data_length), (metadata, metadata_length)).await;
                given(caller, NAME, place, length, answer).await
            })
        },
    )?;
    Ok(())
}

fn add_state(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        ENV,
        "proxy_set_state",
        |mut caller: Host<'_>,
         (store, store_length, key, key_length, value, value_length): (u32, u32, u32, u32, u32, u32)| {
            Box::new(async move {
                const NAME: &str = "proxy_set_state";
                check(&caller, NAME, Allowed::Later)?;
                let places = [(store, store_length), (key, key_length)];
                let out = set_state(&mut caller, places, (value, value_length)).await;
                status(NAME, &caller, out)
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_delete_state",
        |mut caller: Host<'_>, (store, store_length, key, key_length): (u32, u32, u32, u32)| {
            Box::new(async move {
                const NAME: &str = "proxy_delete_state";
                check(&caller, NAME, Allowed::Later)?;
                let out = delete_state(&mut caller, [(store, store_length), (key, key_length)]).await;
                status(NAME, &caller, out)
            })
        },
    )?;
    Ok(())
}

async fn set_state(caller: &mut Host<'_>, places: [Place; 2], value: Place) -> Result<(), Fail> {
    let [store, key] = texts(caller, places)?;
    let value = bytes(caller, value)?;
    let abi = &caller.data().abi;
    let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
    let answer = host.set_state(&who, &store, &key, value).await;
    answered(caller, answer)
}

async fn delete_state(caller: &mut Host<'_>, places: [Place; 2]) -> Result<(), Fail> {
    let [store, key] = texts(caller, places)?;
    let abi = &caller.data().abi;
    let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
    let answer = host.delete_state(&who, &store, &key).await;
    answered(caller, answer)
}

async fn publish(caller: &mut Host<'_>, places: [Place; 3], data: Place, metadata: Place) -> Result<(), Fail> {
    let [pubsub, topic, content_type] = texts(caller, places)?;
    let content_type = Some(content_type).filter(|text| !text.is_empty());
    let (data, metadata) = (bytes(caller, data)?, pairs(caller, metadata)?);
    let abi = &caller.data().abi;
    let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
    let answer = host.publish(&who, Event { pubsub, topic, data, content_type, metadata }).await;
    answered(caller, answer)
}

/// The secret as a list of pairs.
async fn secret(caller: &mut Host<'_>, places: [Place; 2]) -> Result<Vec<u8>, Fail> {
    let [store, name] = texts(caller, places)?;
    let abi = &caller.data().abi;
    let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
    let answer = host.secret(&who, &store, &name).await;
    let secret = answered(caller, answer)?;
    let pairs: Pairs = secret.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.reveal().into())).collect();
    Ok(encode(&pairs))
}

async fn bind(caller: &mut Host<'_>, places: [Place; 2], data: Place, metadata: Place) -> Result<Vec<u8>, Fail> {
    let [name, operation] = texts(caller, places)?;
    let (data, metadata) = (bytes(caller, data)?, pairs(caller, metadata)?);
    let abi = &caller.data().abi;
    let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
    let answer = host.invoke_binding(&who, Binding { name, operation, data, metadata }).await;
    Ok(answered(caller, answer)?.to_vec())
}

fn texts<const N: usize>(caller: &mut Host<'_>, places: [Place; N]) -> Result<[String; N], Fail> {
    let mut texts = [const { String::new() }; N];
    for (text, (pointer, length)) in texts.iter_mut().zip(places) {
        *text = get_text(caller, pointer, length)?;
    }
    Ok(texts)
}

fn bytes(caller: &mut Host<'_>, (pointer, length): Place) -> Result<Bytes, Fail> {
    Ok(get(caller, pointer, length)?.into())
}

fn pairs(caller: &mut Host<'_>, (pointer, length): Place) -> Result<Metadata, Fail> {
    let text = |bytes| String::from_utf8(bytes).map_err(|_| Fail::from(Status::BadArgument));
    get_pairs(caller, pointer, length)?.into_iter().map(|(key, value)| Ok((text(key)?, text(value)?))).collect()
}
