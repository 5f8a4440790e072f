//! Compiling, caching, and errors before any guest runs.

use std::fs;

use wasm_host::abi::command::{Command, Run};
use wasm_host::{Engine, Error, Kind, Limits, Settings};

use crate::guest::{engine, module, wasm};

const EMPTY: &str = r#"(module (func (export "_start")))"#;

fn compiled(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
    files
}

fn with_cache(folder: &std::path::Path) -> Engine {
    Engine::new(Settings { cache: Some(folder.to_owned()), instances: 5, ..Settings::default() }).unwrap()
}

async fn runs(engine: &Engine, module: wasm_host::Module) {
    let command = Command::new(engine, module, Limits::default(), false).unwrap();
    assert_eq!(command.run(Run::default()).await.unwrap().end, Ok(()));
}

#[tokio::test]
async fn a_second_engine_takes_compiled_code_from_the_cache_and_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    with_cache(folder.path()).module("one", wasm(EMPTY)).await.unwrap();
    let [file] = &compiled(folder.path())[..] else { panic!("one file was expected") };
    let written = fs::metadata(file).unwrap().modified().unwrap();
    let second = with_cache(folder.path());
    runs(&second, second.module("one", wasm(EMPTY)).await.unwrap()).await;
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written, "it was not compiled again");
}

#[tokio::test]
async fn code_that_was_tampered_with_is_not_run() {
    let folder = tempfile::tempdir().unwrap();
    with_cache(folder.path()).module("one", wasm(EMPTY)).await.unwrap();
    let [file] = &compiled(folder.path())[..] else { panic!("one file was expected") };
    let mut code = fs::read(file).unwrap();
    let whole = code.clone();
    let middle = code.len() / 2;
    code[middle] ^= 0xff;
    fs::write(file, &code).unwrap();
    let second = with_cache(folder.path());
    runs(&second, second.module("one", wasm(EMPTY)).await.unwrap()).await;
    assert_eq!(fs::read(file).unwrap().len(), whole.len(), "it was compiled and kept again");
    assert_ne!(fs::read(file).unwrap(), code);
}

#[tokio::test]
async fn bytes_that_are_no_module_have_daprds_text() {
    let error = engine().module("main", &b"package main"[..]).await.err().unwrap();
    assert_eq!(error.to_string(), "invalid magic number");
    let error = engine().module("main", &b"\0asm\x01\0\0\0\xff"[..]).await.err().unwrap();
    assert!(matches!(error, Error::Compile { .. }), "{error}");
}

#[tokio::test]
async fn an_import_that_nobody_has_is_named() {
    let engine = engine();
    let text = r#"(module (import "env" "open_door" (func)) (func (export "_start")))"#;
    let error = Command::new(&engine, module(&engine, text).await, Limits::default(), false).err().unwrap();
    assert!(matches!(error, Error::Link { .. }));
    assert!(error.to_string().contains("env.open_door"), "{error}");
}

#[tokio::test]
async fn an_import_of_another_type_is_an_error_with_both_types() {
    let engine = engine();
    let text = r#"(module (import "wasi_snapshot_preview1" "fd_close" (func (param i64))) (func (export "_start")))"#;
    let error = Command::new(&engine, module(&engine, text).await, Limits::default(), false).err().unwrap();
    assert!(error.to_string().contains("fd_close"), "{error}");
}

#[tokio::test]
async fn kinds_are_told_by_exports() {
    let engine = engine();
    for (text, kind) in [
        (EMPTY, Some(Kind::Command)),
        (r#"(module (func (export "proxy_abi_version_0_2_1")) (func (export "_start")))"#, Some(Kind::ProxyWasm)),
        (r#"(module (func (export "handle_request")) (func (export "_start")))"#, Some(Kind::HttpWasm)),
        ("(module)", None),
    ] {
        assert_eq!(module(&engine, text).await.kind(), kind, "{text}");
    }
}

#[tokio::test]
async fn without_a_pool_guests_run_as_well() {
    let engine = Engine::new(Settings { pooling: false, ..Settings::default() }).unwrap();
    assert_eq!(engine.live_guests(), None);
    runs(&engine, module(&engine, EMPTY).await).await;
}
