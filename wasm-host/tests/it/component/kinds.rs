//! What a component is, before any guest runs.

use std::fs;
use std::sync::Arc;

use wasm_host::abi::command::Command;
use wasm_host::abi::component::Component;
use wasm_host::{Engine, Error, Handlers, Kind, Limits, Settings};

use super::guest::{Nowhere, ask, component, http_guest, settings, text};
use crate::guest::{engine, wasm};

const HELLO: &str = "(call $answer) (call $write (i32.const 1024) (i32.const 5)) (call $finish)";

async fn refused(world: &str, module: &str) -> String {
    let engine = engine();
    let module = engine.module("test", component(world, module)).await.unwrap();
    let (settings, _) = settings(Arc::new(Nowhere), Limits::default());
    let error = Component::new(&engine, &module, settings).err().expect("it cannot be a function");
    assert!(matches!(error, Error::Contract { .. }), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn components_are_told_from_modules_and_by_what_they_export() {
    let engine = engine();
    let module = engine.module("test", http_guest(HELLO)).await.unwrap();
    assert_eq!(module.kind(), Some(Kind::Component));
    assert_eq!(module.handlers(), Handlers { http: true, ..Handlers::default() });
    let core = engine.module("test", wasm("(module)")).await.unwrap();
    assert_eq!((core.kind(), core.handlers()), (None, Handlers::default()));
}

#[tokio::test]
async fn each_layer_is_refused_where_the_other_is_needed() {
    let engine = engine();
    let module = engine.module("test", http_guest(HELLO)).await.unwrap();
    let error = Command::new(&engine, module, Limits::default(), false).err().unwrap();
    assert!(error.to_string().contains("core module is needed"), "{error}");
    let core = engine.module("test", wasm("(module)")).await.unwrap();
    let (settings, _) = settings(Arc::new(Nowhere), Limits::default());
    let error = Component::new(&engine, &core, settings).err().unwrap();
    assert!(error.to_string().contains("component of the component model is needed"), "{error}");
}

#[tokio::test]
async fn a_component_without_a_handler_is_told_what_a_function_exports() {
    let text = refused("export run: func();", r#"(module (func (export "run")))"#).await;
    assert!(text.contains("exports run") && text.contains("wasi:http/incoming-handler@0.2"), "{text}");
}

#[tokio::test]
async fn an_import_of_another_draft_is_told_which_one_there_is() {
    let engine = engine();
    let text = r#"(component
        (import "wasi:keyvalue/store@0.2.0-draft" (instance (export "bucket" (type (sub resource))))))"#;
    let module = engine.module("test", wasm(text)).await.unwrap();
    let (settings, _) = settings(Arc::new(Nowhere), Limits::default());
    let error = Component::new(&engine, &module, settings).err().unwrap().to_string();
    assert!(error.contains("wasi:keyvalue/store@0.2.0-draft,") && error.contains("-draft2"), "{error}");
}

#[tokio::test]
async fn a_function_that_an_offered_interface_does_not_have_is_named() {
    let engine = engine();
    let text = r#"(component
        (import "wasi:cli/environment@0.2.0" (instance (export "open-door" (func))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $f (canon lift (core func $i "f")))
        (instance $h (export "handle" (func $f)))
        (export "wasi:http/incoming-handler@0.2.0" (instance $h)))"#;
    let module = engine.module("test", wasm(text)).await.unwrap();
    let (settings, _) = settings(Arc::new(Nowhere), Limits::default());
    let error = Component::new(&engine, &module, settings).err().unwrap().to_string();
    assert!(error.contains("open-door"), "{error}");
}

#[tokio::test]
async fn a_second_engine_takes_a_compiled_component_from_the_cache_and_runs_it() {
    let folder = tempfile::tempdir().unwrap();
    let with_cache = || {
        Engine::new(Settings { cache: Some(folder.path().to_owned()), instances: 5, ..Settings::default() }).unwrap()
    };
    with_cache().module("one", http_guest(HELLO)).await.unwrap();
    let files = || -> Vec<_> {
        let files = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "bin")).collect()
    };
    let [file] = &files()[..] else { panic!("one file was expected") };
    let written = fs::metadata(file).unwrap().modified().unwrap();
    let second = with_cache();
    let module = second.module("one", http_guest(HELLO)).await.unwrap();
    let (settings, _) = settings(Arc::new(Nowhere), Limits::default());
    let function = Component::new(&second, &module, settings).unwrap();
    assert_eq!(text(ask(&function, wasm_host::body::Body::full("")).await.unwrap()).await, "hello");
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), written, "it was not compiled again");
}
