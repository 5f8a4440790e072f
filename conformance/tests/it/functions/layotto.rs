//! Layotto's own demo functions, unmodified, where they can be had: `OTTAVO_WASM_GUESTS` names the folder that holds them.
//! They are not part of this repository.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use conformance::load::Redis;

use super::guest::{function, replace};
use super::{Running, start, text, wait_for};

const ANSWER: &str = "There are 100 inventories for book1.";

fn guests() -> Option<(Vec<u8>, Vec<u8>)> {
    let Some(folder) = std::env::var_os("OTTAVO_WASM_GUESTS").map(PathBuf::from) else {
        println!("skipped: OTTAVO_WASM_GUESTS is not set");
        return None;
    };
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    Some((read("function_1.wasm"), read("function_2.wasm")))
}

fn start_demo(store: String, first: &[u8], second: &[u8]) -> Running {
    start(|folder| {
        let first = function(
            folder,
            "function1",
            first,
            "  digest: md5:65b2f9a455b26d4b68648f1833b3621a\n  configFormat: layotto\n  config: {name: id_1}\n  grants: {invoke: [id_2]}\n",
        );
        let second = function(
            folder,
            "function2",
            second,
            "  configFormat: layotto\n  config: {name: id_2}\n  grants: {state: ['state_demo:read']}\n",
        );
        vec![store, first, second]
    })
}

fn ask(running: &Running) -> (u16, String) {
    text(running.request("GET /?name=book1", "id: id_1\r\n", ""))
}

#[test]
fn the_demo_answers_from_memory_and_from_redis() {
    let Some((first, second)) = guests() else { return };
    let memory = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: state_demo}\nspec: {type: state.in-memory, version: v1}\n";
    let redis = Redis::start();
    for store in [memory.to_owned(), redis.resource("state.redis", "state_demo", &[])] {
        let running = start_demo(store, &first, &second);
        let saved = running.api("POST /v1.0/state/state_demo", r#"[{"key": "book1", "value": 100}]"#);
        assert_eq!(saved.0, 204, "{saved:?}");
        assert_eq!(ask(&running), (200, ANSWER.into()));
        // Without a book the function pauses for ever, which is told.
        let (status, body) = text(running.request("GET /?other=1", "id: id_1\r\n", ""));
        assert_eq!(status, 500, "{body}");
    }
}

#[test]
fn fifty_clients_notice_nothing_while_a_module_is_replaced_a_hundred_times() {
    let Some((first, second)) = guests() else { return };
    let store = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: state_demo}\nspec: {type: state.in-memory, version: v1}\n";
    let running = start_demo(store.to_owned(), &first, &second);
    running.api("POST /v1.0/state/state_demo", r#"[{"key": "book1", "value": 100}]"#);
    let path = running.folder.path().join("function2.wasm");
    // A custom section at the end changes the digest and nothing else.
    let other = [second.as_slice(), b"\0\x06\x05other"].concat();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..50)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        assert_eq!(ask(&running), (200, ANSWER.into()));
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for number in 1..=100 {
            replace(&path, if number % 2 == 1 { &other } else { &second });
            let line = format!("Function function2 has a new module (version {}", number + 1);
            wait_for(&running, &line, || running.sidecar.log().contains(&line));
        }
        is_over.store(true, Ordering::Relaxed);
        let total: usize = clients.into_iter().map(|client| client.join().expect("no failure")).sum();
        println!("{total} requests");
        assert!(total > 1000, "only {total} requests");
    });
}
