//! Layotto's own functions: state, and other functions.

use wasmtime::Linker;

use super::ENV;
use super::calls::answered;
use crate::abi::proxy_wasm::abi::{Abi, Allowed, Fail, Host, check, get, get_text, given};
use crate::store::State;

pub(super) fn add(linker: &mut Linker<State<Abi>>) -> wasmtime::Result<()> {
    linker.func_wrap_async(
        ENV,
        "proxy_get_state",
        |mut caller: Host<'_>,
         (store, store_length, key, key_length, place, length): (u32, u32, u32, u32, u32, u32)| {
            Box::new(async move {
                const NAME: &str = "proxy_get_state";
                check(&caller, NAME, Allowed::Later)?;
                let texts = get_text(&mut caller, store, store_length)
                    .and_then(|store| Ok((store, get_text(&mut caller, key, key_length)?)));
                let answer = match texts {
                    Err(fail) => Err(fail),
                    Ok((store, key)) => {
                        let abi = &caller.data().abi;
                        let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
                        let answer = host.get_state(&who, &store, &key).await;
                        answered(&mut caller, answer.map(Option::unwrap_or_default)).map(Vec::from)
                    }
                };
                given(caller, NAME, place, length, answer).await
            })
        },
    )?;
    linker.func_wrap_async(
        ENV,
        "proxy_invoke_service",
        |mut caller: Host<'_>,
         (id, id_length, method, method_length, parameter, parameter_length, place, length): (
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
                const NAME: &str = "proxy_invoke_service";
                check(&caller, NAME, Allowed::Later)?;
                let parts = (|| -> Result<_, Fail> {
                    Ok((
                        get_text(&mut caller, id, id_length)?,
                        get_text(&mut caller, method, method_length)?,
                        get(&mut caller, parameter, parameter_length)?,
                    ))
                })();
                let answer = match parts {
                    Err(fail) => Err(fail),
                    Ok((id, method, parameter)) => {
                        let abi = &caller.data().abi;
                        let (host, who) = (abi.settings.host.clone(), abi.caller.clone());
                        let answer = host.invoke_service(&who, &id, &method, parameter.into()).await;
                        answered(&mut caller, answer).map(Vec::from)
                    }
                };
                given(caller, NAME, place, length, answer).await
            })
        },
    )?;
    Ok(())
}
