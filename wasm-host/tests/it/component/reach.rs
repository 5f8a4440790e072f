//! What a real guest reaches of its sidecar, and what it does not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;
use components::metadata::Secret;
use http::{Request, Response};
use http_body_util::BodyExt;
use wasm_host::abi::component::Component;
use wasm_host::body::Body;
use wasm_host::function::{Message, Outcome};
use wasm_host::log::Level;
use wasm_host::sidecar::{Binding, CallError, Caller, Event, Granted, Grants, Sidecar, StateChange, StateItem};
use wasm_host::{Engine, Error, Function, Handlers, Limits};

use super::guest::{settings, text};
use super::rust::{events, everything};
use crate::guest::{Lines, engine};

/// A sidecar of one state store that counts versions, and of everything else once.
#[derive(Default)]
struct World {
    state: Mutex<BTreeMap<String, (Bytes, u64)>>,
    seen: Mutex<Vec<String>>,
    /// Changes of others that come between a read and a change.
    rivals: Mutex<u32>,
}

impl World {
    fn note(&self, what: String) {
        self.seen.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn body(request: Request<Body>) -> (http::request::Parts, String) {
    let (parts, body) = request.into_parts();
    (parts, String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap())
}

#[async_trait]
impl Sidecar for World {
    async fn get_state(&self, _: &Caller, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        if store != "orders" {
            return Err(CallError::NotFound(format!("there is no state store '{store}'")));
        }
        let mut state = self.state.lock().unwrap();
        let found = state.get(key).cloned();
        let mut rivals = self.rivals.lock().unwrap();
        if *rivals > 0
            && let Some((value, version)) = state.get_mut(key)
        {
            *rivals -= 1;
            *value = "100".into();
            *version += 1;
        }
        Ok(found.map(|(value, version)| StateItem { value, etag: Some(version.to_string()) }))
    }

    async fn change_state(
        &self,
        _: &Caller,
        _: &str,
        changes: Vec<StateChange>,
        is_transaction: bool,
    ) -> Result<(), CallError> {
        if is_transaction {
            self.note(format!("{changes:?}"));
        }
        let mut state = self.state.lock().unwrap();
        for change in changes {
            let (key, etag) = match &change {
                StateChange::Set { key, etag, .. } | StateChange::Delete { key, etag, .. } => {
                    (key.clone(), etag.clone())
                }
                StateChange::Create { key, .. } => {
                    let mut rivals = self.rivals.lock().unwrap();
                    if *rivals > 0 {
                        *rivals -= 1;
                        state.insert(key.clone(), ("5".into(), 1));
                    }
                    if state.contains_key(key) {
                        // As Redis, whose error does not say that it is a conflict.
                        return Err(CallError::Failed("it was written with first-write concurrency".into()));
                    }
                    (key.clone(), None)
                }
            };
            let version = state.get(&key).map(|(_, version)| *version);
            if etag.is_some_and(|etag| version.map(|version| version.to_string()) != Some(etag)) {
                return Err(CallError::Conflict("possible etag mismatch".into()));
            }
            match change {
                StateChange::Set { value, .. } | StateChange::Create { value, .. } => {
                    state.insert(key, (value, version.unwrap_or(0) + 1))
                }
                StateChange::Delete { .. } => state.remove(&key),
            };
        }
        Ok(())
    }

    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        self.note(format!("{} {event:?}", caller.function));
        Ok(())
    }

    async fn secret(&self, _: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        Ok(BTreeMap::from([(name.to_owned(), Secret::new(format!("of {store}")))]))
    }

    async fn invoke(&self, caller: &Caller, id: &str, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let (parts, body) = body(request).await;
        let answer = format!("{} {} at {id} from depth {}: {body}", parts.method, parts.uri, caller.depth);
        Ok(Response::builder().status(201).body(Body::full(answer)).unwrap())
    }

    async fn bind(&self, _: &Caller, call: Binding) -> Result<(Bytes, Metadata), CallError> {
        Ok((format!("{call:?}").into(), Metadata::default()))
    }

    async fn send(&self, _: &Caller, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let (parts, _) = body(request).await;
        Ok(Response::new(Body::full(format!("{} {}", parts.method, parts.uri))))
    }
}

struct Guest {
    function: Component,
    world: Arc<World>,
    log: Arc<Lines>,
}

impl Guest {
    async fn new(engine: &Engine, grants: Option<Grants>) -> Self {
        let module = engine.module("everything", everything()).await.unwrap();
        assert_eq!(module.handlers(), Handlers { http: true, messages: true, ..Handlers::default() });
        let world = Arc::new(World::default());
        let sidecar: Arc<dyn Sidecar> = match grants {
            Some(grants) => Arc::new(Granted { grants, sidecar: world.clone() }),
            None => world.clone(),
        };
        let (mut settings, log) = settings(sidecar, Limits::default());
        settings.environment = vec![("COLOUR".into(), "blue".into())];
        settings.config = Arc::new(BTreeMap::from([("size".into(), "7".into())]));
        Self { function: Component::new(engine, &module, settings).unwrap(), world, log }
    }

    async fn ask(&self, path: &str) -> Result<(u16, String), Error> {
        let request = Request::get(path).header("x-header", "value").body(Body::full("")).unwrap();
        let response = self.function.handle_http(&Caller::new("everything"), request).await?;
        Ok((response.status().as_u16(), text(response).await))
    }

    /// The answer's text, which is no failure.
    async fn get(&self, path: &str) -> String {
        let (status, text) = self.ask(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    async fn fails(&self, path: &str) -> String {
        let (status, text) = self.ask(path).await.unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(status, 500, "{path}: {text}");
        text
    }

    async fn tell(&self, envelope: &str) -> Result<Outcome, Error> {
        let message =
            Message { pubsub: "p".into(), topic: "t".into(), path: "/x".into(), envelope: envelope.to_owned().into() };
        self.function.handle_event(&Caller::new("everything"), message).await
    }
}

#[tokio::test]
async fn wasi_keyvalue_is_a_state_store() {
    let guest = Guest::new(&engine(), None).await;
    assert_eq!(guest.get("/get/orders/a").await, "None");
    assert_eq!(guest.get("/exists/orders/a").await, "false");
    guest.get("/set/orders/a/first").await;
    assert_eq!(guest.get("/get/orders/a").await, r#"Some("first")"#);
    assert_eq!(guest.get("/exists/orders/a").await, "true");
    guest.get("/delete/orders/a").await;
    assert_eq!(guest.get("/get/orders/a").await, "None");
    assert_eq!(guest.get("/many/orders").await, r#"[Some(("a", [49])), None]"#);
    assert!(guest.fails("/get/nowhere/a").await.contains("NoSuchStore"));
    assert!(guest.fails("/list/orders").await.contains("cannot list its keys"));
}

#[tokio::test]
async fn an_increment_begins_anew_when_somebody_else_was_faster() {
    let guest = Guest::new(&engine(), None).await;
    assert_eq!(guest.get("/increment/orders/n/5").await, "5");
    assert_eq!(guest.get("/increment/orders/n/-2").await, "3");
    *guest.world.rivals.lock().unwrap() = 2;
    assert_eq!(guest.get("/increment/orders/n/1").await, "101");
    guest.get("/set/orders/word/one").await;
    assert!(guest.fails("/increment/orders/word/1").await.contains("no whole number"));
    // Another one creates the key at the same moment: neither change is lost.
    *guest.world.rivals.lock().unwrap() = 1;
    assert_eq!(guest.get("/increment/orders/fresh/1").await, "6");
    *guest.world.rivals.lock().unwrap() = 1000;
    assert!(guest.fails("/increment/orders/n/1").await.contains("in a row"));
}

#[tokio::test]
async fn a_swap_fails_with_a_handle_to_try_again() {
    let guest = Guest::new(&engine(), None).await;
    guest.get("/set/orders/a/old").await;
    assert_eq!(guest.get("/swap/orders/a").await, "after of another");
    assert_eq!(guest.get("/get/orders/a").await, r#"Some("second")"#);
    // A key that is not there is a state, too.
    assert_eq!(guest.get("/swap/orders/new").await, "after of another");
}

#[tokio::test]
async fn configuration_environment_and_clocks_are_there_and_files_and_sockets_are_not() {
    let guest = Guest::new(&engine(), None).await;
    assert_eq!(guest.get("/config/size").await, r#"Some("7")"#);
    assert_eq!(guest.get("/config/other").await, "None");
    assert_eq!(guest.get("/configs").await, r#"[("size", "7")]"#);
    assert_eq!(guest.get("/environment").await, r#"[("COLOUR", "blue")]"#);
    assert!(guest.get("/clock").await.parse::<u64>().unwrap() > 1_700_000_000);
    assert_ne!(guest.get("/random").await, guest.get("/random").await);
    assert_eq!(guest.get("/header/x-header").await, r#"["value"]"#);
    guest.fails("/file").await;
    guest.fails("/connect").await;
}

#[tokio::test]
async fn messages_are_published_by_both_interfaces() {
    let guest = Guest::new(&engine(), None).await;
    guest.get("/publish/p/t/hello").await;
    let [seen] = &guest.world.take()[..] else { panic!("one message was expected") };
    for part in ["everything Event", r#"b"hello""#, r#"Some("text/plain")"#, r#""ttlInSeconds": "5""#] {
        assert!(seen.contains(part), "{seen}");
    }
    guest.get("/event/p/t/hello").await;
    assert!(guest.world.take()[0].contains(r#""rawPayload": "true""#));
}

#[tokio::test]
async fn ottavo_runtime_reaches_what_no_standard_has() {
    let guest = Guest::new(&engine(), None).await;
    guest.get("/set/orders/a/1").await;
    assert_eq!(guest.get("/item/orders/a").await, r#"Some(("1", Some("1")))"#);
    assert!(guest.fails("/transact/orders").await.contains("Conflict"));
    assert!(guest.world.take()[0].contains(r#"Delete { key: "y", etag: Some("9")"#));
    assert_eq!(guest.get("/secret/vault/key").await, r#"[("key", "of vault")]"#);
    assert_eq!(guest.get("/invoke/app/method").await, r#"(201, "POST /method at app from depth 0: ping")"#);
    assert!(guest.get("/bind/queue/create").await.contains(r#"operation: \"create\""#));
}

#[tokio::test]
async fn requests_go_out_through_the_sidecar_and_by_id_to_applications() {
    let guest = Guest::new(&engine(), None).await;
    assert_eq!(guest.get("/fetch/api.example.com").await, "200 GET http://api.example.com/path?q=1");
    assert_eq!(guest.get("/call/app").await, "201 GET /path?q=1 at app from depth 0: ");
}

#[tokio::test]
async fn what_is_not_granted_is_the_interfaces_own_error_and_the_log_has_the_line_to_add() {
    let guest = Guest::new(&engine(), Some(Grants::default())).await;
    for (path, error, line) in [
        ("/get/orders/a", "Error::Other(\"the function everything may not", "state: [\"orders:read\"]"),
        ("/publish/p/t/x", "PermissionDenied", "publish: [\"p/t\"]"),
        ("/event/p/t/x", "Denied", "publish: [\"p/t\"]"),
        ("/secret/vault/key", "Denied", "secrets: [\"vault/key\"]"),
        ("/invoke/app/m", "Denied", "invoke: [\"app\"]"),
        ("/bind/queue/create", "Denied", "bindings: [\"queue\"]"),
        ("/fetch/api.example.com", "HttpRequestDenied", "hosts: [\"http://api.example.com\"]"),
        ("/call/app", "HttpRequestDenied", "invoke: [\"app\"]"),
    ] {
        let text = guest.fails(path).await;
        assert!(text.contains(error), "{path}: {text}");
        let lines = guest.log.take();
        assert!(lines.iter().any(|(level, text)| *level == Level::Warn && text.contains(line)), "{path}: {lines:?}");
    }
}

#[tokio::test]
async fn what_a_guest_prints_is_in_the_log_without_control_characters() {
    let guest = Guest::new(&engine(), None).await;
    guest.get("/print").await;
    let lines = guest.log.take();
    let expected = [(Level::Info, "to the [31mlog".to_owned()), (Level::Error, "without an end".to_owned())];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_panic_is_a_trap_with_its_text_in_the_log_and_an_exit_is_an_exit() {
    let guest = Guest::new(&engine(), None).await;
    let error = guest.ask("/panic").await.err().unwrap();
    assert!(matches!(&error, Error::Trap { .. }), "{error}");
    assert!(guest.log.take().iter().any(|(_, line)| line.contains("as told")));
    assert_eq!(guest.ask("/exit").await.err(), Some(Error::Exit(1)), "WASI 0.2 knows success and failure only");
}

#[tokio::test]
async fn bodies_are_streams_for_a_real_guest_too() {
    let guest = Guest::new(&engine(), None).await;
    let long = "0123456789abcdef".repeat(1 << 16);
    let request = Request::post("/echo").body(Body::full(long.clone())).unwrap();
    let response = guest.function.handle_http(&Caller::new("everything"), request).await.unwrap();
    assert_eq!(text(response).await, long);
}

#[tokio::test]
async fn messages_are_taken_dropped_or_asked_for_again() {
    let guest = Guest::new(&engine(), None).await;
    let outcome = guest.tell(r#"{"datacontenttype":"text/plain","data":"fine"}"#).await.unwrap();
    assert_eq!(outcome, Outcome::Success);
    assert_eq!(guest.log.take(), [(Level::Info, "t text/plain: fine".to_owned())]);
    assert_eq!(guest.tell(r#"{"data":"drop"}"#).await.unwrap(), Outcome::Drop);
    assert_eq!(guest.tell(r#"{"data":"retry"}"#).await.unwrap(), Outcome::Retry);
    assert!(guest.log.take().iter().any(|(level, line)| *level == Level::Warn && line.contains("not now")));
    assert!(matches!(guest.tell(r#"{"data":"trap"}"#).await, Err(Error::Trap { .. })));
}

/// What the guest of `ottavo:runtime/event-handler` says, and what it wrote.
#[tokio::test]
async fn an_event_handler_says_what_becomes_of_a_message() {
    let engine = engine();
    let module = engine.module("events", events()).await.unwrap();
    assert_eq!(module.handlers(), Handlers { events: true, ..Handlers::default() });
    let (settings, log) = settings(Arc::new(World::default()), Limits::default());
    let function = Component::new(&engine, &module, settings).unwrap();
    let tell = async |word: &str| {
        let envelope = format!(r#"{{"data":"{word}"}}"#);
        let message = Message { pubsub: "p".into(), topic: "t".into(), path: "/x".into(), envelope: envelope.into() };
        function.handle_event(&Caller::new("events"), message).await
    };
    for (word, outcome) in [("fine", Outcome::Success), ("retry", Outcome::Retry), ("drop", Outcome::Drop)] {
        assert_eq!(tell(word).await.unwrap(), outcome, "{word}");
    }
    assert!(matches!(tell("trap").await, Err(Error::Trap { .. })));
    let lines = log.take();
    assert!(lines.iter().any(|(_, line)| line.contains(r#"p t /x {"data":"retry"}"#)), "{lines:?}");
    assert_eq!(engine.live_guests(), Some(0));
}
