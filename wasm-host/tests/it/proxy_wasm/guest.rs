//! Guests from WebAssembly text. In their code `'text'` stands for the pointer and the length of that text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use components::metadata::Secret;
use wasm_host::abi::proxy_wasm::host::{CallError, Caller, GrpcCall, GrpcEvent, HttpCall, HttpReply};
use wasm_host::abi::proxy_wasm::map::Pairs;
use wasm_host::abi::proxy_wasm::{Direction, ProxyHost, ProxySettings, ProxyWasm, Services, Session};
use wasm_host::log::{Level, Log};
use wasm_host::sidecar::{Binding, Event};
use wasm_host::{Engine, Limits, PoolSettings, Result};

use crate::guest::{Lines, engine, module};

/// Every function of the ABI with its parameters (`i`: 32 bits, `I`: 64 bits); all give a status.
pub const IMPORTS: [(&str, &str); 46] = [
    ("proxy_log", "iii"),
    ("proxy_get_log_level", "i"),
    ("proxy_get_current_time_nanoseconds", "i"),
    ("proxy_set_tick_period_milliseconds", "i"),
    ("proxy_set_effective_context", "i"),
    ("proxy_done", ""),
    ("proxy_get_buffer_bytes", "iiiii"),
    ("proxy_set_buffer_bytes", "iiiii"),
    ("proxy_get_buffer_status", "iii"),
    ("proxy_get_header_map_size", "ii"),
    ("proxy_get_header_map_pairs", "iii"),
    ("proxy_set_header_map_pairs", "iii"),
    ("proxy_get_header_map_value", "iiiii"),
    ("proxy_add_header_map_value", "iiiii"),
    ("proxy_replace_header_map_value", "iiiii"),
    ("proxy_remove_header_map_value", "iii"),
    ("proxy_continue_stream", "i"),
    ("proxy_close_stream", "i"),
    ("proxy_get_status", "iii"),
    ("proxy_send_local_response", "iiiiiiii"),
    ("proxy_http_call", "iiiiiiiiii"),
    ("proxy_grpc_call", "iiiiiiiiiiii"),
    ("proxy_grpc_stream", "iiiiiiiii"),
    ("proxy_grpc_send", "iiii"),
    ("proxy_grpc_cancel", "i"),
    ("proxy_grpc_close", "i"),
    ("proxy_set_shared_data", "iiiii"),
    ("proxy_get_shared_data", "iiiii"),
    ("proxy_register_shared_queue", "iii"),
    ("proxy_resolve_shared_queue", "iiiii"),
    ("proxy_enqueue_shared_queue", "iii"),
    ("proxy_dequeue_shared_queue", "iii"),
    ("proxy_define_metric", "iiii"),
    ("proxy_record_metric", "iI"),
    ("proxy_increment_metric", "iI"),
    ("proxy_get_metric", "ii"),
    ("proxy_get_property", "iiii"),
    ("proxy_set_property", "iiii"),
    ("proxy_call_foreign_function", "iiiiii"),
    ("proxy_get_state", "iiiiii"),
    ("proxy_invoke_service", "iiiiiiii"),
    ("proxy_set_state", "iiiiii"),
    ("proxy_delete_state", "iiii"),
    ("proxy_publish_event", "iiiiiiiiii"),
    ("proxy_get_secret", "iiiiii"),
    ("proxy_invoke_binding", "iiiiiiiiii"),
];

/// Where results go: a pointer, a length, and one more word.
const HELPERS: &str = r#"
    (memory (export "memory") 2)
    (global $heap (mut i32) (i32.const 65536))
    (func $allocate (param $size i32) (result i32)
        (global.set $heap (i32.add (global.get $heap) (local.get $size)))
        (i32.sub (global.get $heap) (local.get $size)))
    ;; Logs a status as a text of two digits.
    (func $status (param $status i32)
        (i32.store8 (i32.const 64) (i32.add (i32.const 48) (i32.div_u (local.get $status) (i32.const 10))))
        (i32.store8 (i32.const 65) (i32.add (i32.const 48) (i32.rem_u (local.get $status) (i32.const 10))))
        (drop (call $proxy_log (i32.const 2) (i32.const 64) (i32.const 2))))
    ;; Logs what a function has given back.
    (func $show (param $status i32)
        (if (local.get $status)
            (then (call $status (local.get $status)))
            (else (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 16)) (i32.load (i32.const 20)))))))
    ;; Logs the number that a function has given back, or its status.
    (func $number (param $status i32)
        (if (local.get $status)
            (then (call $status (local.get $status)))
            (else (call $status (i32.load (i32.const 24))))))
"#;

/// The results of functions that give bytes back.
pub const OUT: &str = "(i32.const 16) (i32.const 20)";

/// A module with these functions beside imports, memory and allocator.
pub fn text(code: &str) -> String {
    let mut text = "(module\n".to_owned();
    for (name, parameters) in IMPORTS {
        let parameters: String = parameters.chars().map(|one| if one == 'i' { " i32" } else { " i64" }).collect();
        let _ = writeln!(text, r#"(import "env" "{name}" (func ${name} (param{parameters}) (result i32)))"#);
    }
    text.push_str(HELPERS);
    let (mut data, mut at) = (String::new(), 1024);
    for (number, part) in code.split('\'').enumerate() {
        if number % 2 == 0 {
            text.push_str(part);
            continue;
        }
        let length = wat_length(part);
        let _ = writeln!(data, r#"(data (i32.const {at}) "{part}")"#);
        let _ = write!(text, "(i32.const {at}) (i32.const {length})");
        at += length + 1;
    }
    text + &data + ")"
}

/// Bytes of a text with `\00` escapes.
fn wat_length(text: &str) -> usize {
    text.len() - 2 * text.matches('\\').count()
}

/// A guest of 0.2.1 with `malloc` and these functions.
pub fn filter(code: &str) -> String {
    text(&format!(
        r#"(func (export "proxy_abi_version_0_2_1"))
        (func (export "malloc") (param i32) (result i32) (call $allocate (local.get 0)))
        {code}"#
    ))
}

/// A guest that does this when request headers come, and then goes on.
pub fn on_headers(code: &str) -> String {
    filter(&format!(
        r#"(func (export "proxy_on_request_headers") (param $context i32) (param $count i32) (param $end i32) (result i32)
            {code} (i32.const 0))"#
    ))
}

/// A plugin and what it logs.
pub struct Plugin {
    pub proxy: ProxyWasm,
    pub lines: Arc<Lines>,
    pub engine: Engine,
    pub services: Services,
}

pub async fn load(text: &str) -> Result<Plugin> {
    let engine = engine();
    let (lines, services) = (Lines::new(), Services::default());
    let settings = ProxySettings {
        plugin: "plugin".into(),
        vm_id: "vm".into(),
        root_id: "root".into(),
        vm_configuration: Bytes::from_static(b"of the vm"),
        plugin_configuration: Bytes::from_static(b"of the plugin"),
        environment: vec![("COLOUR".into(), "red".into())],
        limits: Limits::default(),
        pool: PoolSettings::default(),
        host: Arc::new(World(lines.clone())),
        services: services.clone(),
        log: lines.clone(),
        body_limit: 1 << 16,
    };
    let proxy = ProxyWasm::new(&engine, module(&engine, text).await, settings).await?;
    Ok(Plugin { proxy, lines, engine, services })
}

impl Plugin {
    /// The texts that were logged since the last time.
    pub fn logged(&self) -> Vec<String> {
        self.lines.take().into_iter().map(|(_, line)| line).collect()
    }

    /// The texts of one level that were logged since the last time.
    pub fn logged_at(&self, level: Level) -> Vec<String> {
        self.lines.take().into_iter().filter(|(of, _)| *of == level).map(|(_, line)| line).collect()
    }
}

pub fn pairs(pairs: &[(&str, &str)]) -> Pairs {
    pairs.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

pub fn request_headers() -> Pairs {
    pairs(&[(":method", "GET"), (":path", "/path?query=1"), (":authority", "here"), ("two", "1"), ("two", "2")])
}

/// Opens a stream and sends request headers.
pub async fn opened(plugin: &Plugin) -> Session {
    let mut session = plugin.proxy.open().await.expect("a guest");
    session.headers(Direction::Request, request_headers(), true).await.expect("a callback");
    session
}

/// What a guest logs at level info that runs this code when request headers come.
pub async fn logs(code: &str) -> Vec<String> {
    let plugin = load(&on_headers(code)).await.unwrap_or_else(|error| panic!("{error}\n{code}"));
    opened(&plugin).await.close().await.expect("an end");
    plugin.logged_at(Level::Info)
}

/// The world of the tests: `up` answers, `down` does not, `slow` never; the store `books` has one book. What changes
/// anything is a line of the log at level debug.
struct World(Arc<Lines>);

impl World {
    fn said(&self, is_there: bool, line: String) -> Result<(), CallError> {
        if !is_there {
            return Err(CallError("it is not there".into()));
        }
        self.0.write(Level::Debug, &line);
        Ok(())
    }
}

#[async_trait]
impl ProxyHost for World {
    async fn get_state(&self, _: &Caller, store: &str, key: &str) -> Result<Option<Bytes>, CallError> {
        match (store, key) {
            ("books", "book1") => Ok(Some(Bytes::from_static(b"100"))),
            ("books", _) => Ok(None),
            _ => Err(CallError(format!("no store {store}"))),
        }
    }

    async fn invoke_service(&self, _: &Caller, id: &str, method: &str, parameter: Bytes) -> Result<Bytes, CallError> {
        if id != "up" {
            return Err(CallError(format!("no service {id}")));
        }
        Ok(format!("{method}:{}", String::from_utf8_lossy(&parameter)).into())
    }

    async fn set_state(&self, _: &Caller, store: &str, key: &str, value: Bytes) -> Result<(), CallError> {
        self.said(store == "books", format!("set {key}={}", String::from_utf8_lossy(&value)))
    }

    async fn delete_state(&self, _: &Caller, store: &str, key: &str) -> Result<(), CallError> {
        self.said(store == "books", format!("delete {key}"))
    }

    async fn publish(&self, _: &Caller, event: Event) -> Result<(), CallError> {
        let Event { pubsub, topic, data, content_type, metadata } = event;
        let data = String::from_utf8_lossy(&data);
        self.said(pubsub == "broker", format!("publish {topic} {data} {content_type:?} {metadata:?}"))
    }

    async fn secret(&self, _: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        self.said(store == "vault", "secret".into())?;
        Ok(BTreeMap::from([(name.to_owned(), Secret::new("hush"))]))
    }

    async fn invoke_binding(&self, _: &Caller, call: Binding) -> Result<Bytes, CallError> {
        let Binding { name, operation, data, metadata } = call;
        let data = String::from_utf8_lossy(&data);
        self.said(name == "mail", format!("bind {operation} {data} {metadata:?}"))?;
        Ok("sent".into())
    }

    fn has_upstream(&self, _: &Caller, upstream: &str) -> bool {
        ["up", "down", "slow"].contains(&upstream)
    }

    async fn http_call(&self, _: &Caller, call: HttpCall) -> Result<HttpReply, CallError> {
        match call.upstream.as_str() {
            "up" => Ok(HttpReply {
                headers: pairs(&[(":status", "203"), ("answered", "yes")]),
                body: Bytes::from(format!("pong {}", String::from_utf8_lossy(&call.body))),
                trailers: pairs(&[("trailer", "last")]),
            }),
            "slow" => {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                Err(CallError("it took an hour".into()))
            }
            _ => Err(CallError("it is down".into())),
        }
    }

    async fn grpc_call(&self, _: &Caller, mut call: GrpcCall) {
        let _ = call.events.send(GrpcEvent::InitialMetadata(pairs(&[("begin", "yes")]))).await;
        while let Some(message) = call.messages.recv().await {
            let _ = call.events.send(GrpcEvent::Message(message)).await;
        }
        let _ = call.events.send(GrpcEvent::TrailingMetadata(pairs(&[("end", "yes"), ("more", "no")]))).await;
        let _ = call.events.send(GrpcEvent::Close { code: 5, message: "gone".into() }).await;
    }

    fn property(&self, _: &Caller, path: &[&str]) -> Option<Vec<u8>> {
        (path == ["dapr", "app_id"]).then(|| b"shop".to_vec())
    }

    async fn foreign(&self, _: &Caller, name: &str, arguments: Bytes) -> Option<Result<Bytes, CallError>> {
        match name {
            "twice" => Some(Ok([arguments.as_ref(), arguments.as_ref()].concat().into())),
            "broken" => Some(Err(CallError("it is broken".into()))),
            _ => None,
        }
    }
}
