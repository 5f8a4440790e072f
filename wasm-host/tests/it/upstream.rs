//! Guests that were built for Dapr and http-wasm, where they can be had: `OTTAVO_WASM_GUESTS` names a folder that holds
//! them. They are not part of this repository.

use std::path::PathBuf;

use wasm_host::abi::command::{Command, Run};
use wasm_host::{Limits, Settings};

fn guest(path: &str) -> Option<Vec<u8>> {
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
