//! Guests that were built for Dapr and http-wasm, where they can be had: `OTTAVO_WASM_GUESTS` names a folder that holds
//! them. They are not part of this repository.

use std::path::PathBuf;

use wasm_host::abi::command::{Command, Run};
use wasm_host::{Limits, Settings};

pub fn guest(path: &str) -> Option<Vec<u8>> {
    let Some(folder) = std::env::var_os("OTTAVO_WASM_GUESTS") else {
        println!("skipped: OTTAVO_WASM_GUESTS is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(path);
    Some(std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

async fn output(bytes: Vec<u8>, run: Run, is_strict: bool) -> String {
    let engine = wasm_host::Engine::new(Settings { instances: 5, ..Settings::default() }).unwrap();
    let module = engine.module("main", bytes).await.unwrap();
    let outcome = Command::new(&engine, module, Limits::default(), is_strict).unwrap().run(run).await.unwrap();
    outcome.end.unwrap();
    String::from_utf8_lossy(&outcome.output).into_owned()
}

#[tokio::test]
async fn arguments_as_dapr_gives_them() {
    let Some(bytes) = guest("common/wasm/testdata/args/main.wasm") else { return };
    assert_eq!(output(bytes.clone(), Run::default(), false).await, "main");
    let run = Run { arguments: vec!["1".into(), "2".into()], ..Run::default() };
    assert_eq!(output(bytes, run, false).await, "main\n1\n2");
}

#[tokio::test]
async fn the_strict_sandbox_is_as_deterministic_as_daprs() {
    let Some(bytes) = guest("common/wasm/testdata/strict/main.wasm") else { return };
    let expected = "2000000\n1000000\n3e0a4fc818\n";
    assert_eq!(output(bytes.clone(), Run::default(), true).await, expected);
    assert_ne!(output(bytes, Run::default(), false).await, expected);
}

/// Layotto's two demo functions, which call each other and read a state store.
mod layotto {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use bytes::Bytes;
    use wasm_host::abi::proxy_wasm::host::{CallError, Caller};
    use wasm_host::abi::proxy_wasm::{Direction, ProxyHost, ProxySettings, ProxyWasm, Services, configuration};
    use wasm_host::{Limits, PoolSettings, Settings};

    use super::guest;
    use crate::guest::Lines;

    /// One answers the other's calls.
    #[derive(Default)]
    struct World {
        second: Mutex<Option<Arc<ProxyWasm>>>,
    }

    #[async_trait]
    impl ProxyHost for World {
        async fn get_state(&self, _: &Caller, store: &str, key: &str) -> Result<Option<Bytes>, CallError> {
            assert_eq!((store, key), ("state_demo", "book1"));
            Ok(Some(Bytes::from_static(b"100")))
        }

        async fn invoke_service(&self, _: &Caller, id: &str, _: &str, parameter: Bytes) -> Result<Bytes, CallError> {
            assert_eq!(id, "id_2");
            let second = self.second.lock().unwrap().clone().expect("the second function");
            call(&second, &parameter).await.map(Bytes::from).map_err(|error| CallError(error.to_string()))
        }
    }

    async fn call(function: &ProxyWasm, body: &[u8]) -> wasm_host::Result<Vec<u8>> {
        let mut session = function.open().await?;
        session.headers(Direction::Request, Vec::new(), false).await?;
        session.body(Direction::Request, body, true).await?;
        let answer = session.take_body(Direction::Response)?;
        session.close().await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn the_demo_answers_what_layotto_answers() {
        let (Some(first), Some(second)) = (guest("function_1.wasm"), guest("function_2.wasm")) else { return };
        let engine = wasm_host::Engine::new(Settings { instances: 20, ..Settings::default() }).unwrap();
        let world = Arc::new(World::default());
        let load = async |name: &str, bytes: Vec<u8>| {
            let settings = ProxySettings {
                plugin: name.into(),
                vm_id: "vm".into(),
                root_id: "root".into(),
                vm_configuration: configuration(&[("engine", "wasmtime")]),
                plugin_configuration: configuration(&[("name", name)]),
                environment: Vec::new(),
                limits: Limits::default(),
                pool: PoolSettings::default(),
                host: world.clone(),
                services: Services::default(),
                log: Lines::new(),
                body_limit: 1 << 20,
            };
            ProxyWasm::new(&engine, engine.module(name, bytes).await.unwrap(), settings).await.unwrap()
        };
        let (first, second) = (load("function_1", first).await, Arc::new(load("function_2", second).await));
        assert_eq!(first.id().await.unwrap().as_deref(), Some("id_1"));
        assert_eq!(second.id().await.unwrap().as_deref(), Some("id_2"));
        *world.second.lock().unwrap() = Some(second);
        for _ in 0..3 {
            let answer = call(&first, b"name=book1").await.unwrap();
            assert_eq!(String::from_utf8_lossy(&answer), "There are 100 inventories for book1.");
        }
    }
}
