//! Functions that run without a request: messages of topics, and schedules.

use std::path::Path;

use super::guest::{OUT, function, module, on_body, on_head};
use super::{Running, STATE, start, wait_for};

const PUBSUB: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: pubsub}\nspec: {type: pubsub.in-memory, version: v1}\n";

/// A sidecar with a store, a broker, and functions.
fn start_beside_a_broker(declare: impl FnOnce(&Path) -> Vec<String>) -> Running {
    start(|folder| [vec![STATE.to_owned(), PUBSUB.to_owned()], declare(folder)].concat())
}

/// A function that takes messages of a topic; `topic` may say more of it, `grants` beside the store.
fn taking(folder: &Path, name: &str, bytes: &[u8], topic: &str, grants: &str) -> String {
    let spec = format!(
        "  triggers: [{{topic: {{pubsub: pubsub, topic: {topic}}}}}]\n  grants: {{state: [statestore]{grants}}}\n"
    );
    function(folder, name, bytes, &spec)
}

fn state(running: &Running, key: &str) -> String {
    running.api(&format!("GET /v1.0/state/statestore/{key}"), "").1
}

#[test]
fn a_message_comes_to_the_function_and_what_it_publishes_to_another() {
    let copy = "(drop (call $body))
        (drop (call $proxy_set_state 'statestore' 'order' (i32.load (i32.const 16)) (i32.load (i32.const 20))))
        (drop (call $proxy_publish_event 'pubsub' 'done' 'over' 'text/plain' (i32.const 0) (i32.const 0)))";
    let last = "(drop (call $proxy_set_state 'statestore' 'done' 'yes'))";
    let running = start_beside_a_broker(|folder| {
        vec![
            taking(folder, "orders", &on_body(copy), "orders", ", publish: [pubsub/done]"),
            taking(folder, "done", &on_body(last), "done", ""),
        ]
    });
    wait_for(&running, "a message is taken", || {
        running.api("POST /v1.0/publish/pubsub/orders", r#"{"item":"book1"}"#);
        !state(&running, "order").is_empty()
    });
    let event = state(&running, "order");
    assert!(event.contains(r#""data":{"item":"book1"}"#) && event.contains(r#""topic":"orders""#), "{event}");
    wait_for(&running, "the second function has run", || state(&running, "done") == "yes");
}

#[test]
fn what_a_function_drops_goes_to_the_dead_letters() {
    let refuse =
        r#"(drop (call $proxy_send_local_response (i32.const 404) '' '' (i32.const 0) (i32.const 0) (i32.const -1)))"#;
    let keep = "(drop (call $proxy_set_state 'statestore' 'dead' 'yes'))";
    let running = start_beside_a_broker(|folder| {
        vec![
            taking(folder, "drops", &on_head(refuse), "orders, deadLetterTopic: dead", ""),
            taking(folder, "dead", &on_head(keep), "dead", ""),
        ]
    });
    wait_for(&running, "the dropped message is among the dead letters", || {
        running.api("POST /v1.0/publish/pubsub/orders", "1");
        state(&running, "dead") == "yes"
    });
}

#[test]
fn a_schedule_calls_and_a_tick_is_the_guests_own() {
    let called = format!(
        "(drop (call $proxy_get_state 'statestore' 'cron' {OUT}))
         (drop (call $proxy_set_state 'statestore' 'cron' 'called'))"
    );
    let tick = r#"(func (export "proxy_on_vm_start") (param i32 i32) (result i32)
            (drop (call $proxy_set_tick_period_milliseconds (i32.const 10))) (i32.const 1))
        (func (export "proxy_on_tick") (param i32)
            (drop (call $proxy_set_state 'statestore' 'tick' 'ticked')))"#;
    let running = start(|folder| {
        vec![
            STATE.to_owned(),
            function(
                folder,
                "scheduled",
                &on_head(&called),
                "  triggers: [{cron: '@every 1s'}]\n  grants: {state: [statestore]}\n",
            ),
            function(folder, "ticking", &module(tick), "  grants: {state: [statestore]}\n"),
        ]
    });
    wait_for(&running, "the tick has come", || state(&running, "tick") == "ticked");
    wait_for(&running, "the schedule has called", || state(&running, "cron") == "called");
}
