//! Requests to functions, and what they reach.

use super::guest::{OUT, function, module, on_body, on_head, replace};
use super::{PATIENCE, STATE, start, text, wait_for};

const HELLO: &str = "(call $say 'hello')";

fn route(path: &str) -> String {
    format!("  triggers: [{{http: {{path: {path}}}}}]\n")
}

#[test]
fn routes_ids_and_names_lead_to_a_function_and_nothing_else_does() {
    let running = start(|folder| {
        vec![
            function(
                folder,
                "hello",
                &on_head(HELLO),
                "  handler: id_h\n  triggers: [{http: {path: /hello/..., method: [GET]}}]\n",
            ),
            function(folder, "echo", &on_body("(call $show (call $body))"), &route("/echo")),
        ]
    });
    assert_eq!(running.get("/hello/you"), (200, "hello".into()));
    let answer = running.request("POST /echo", "", "body");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(answer.header("x-function-version"), Some("1"));
    assert_eq!(text(answer), (200, "body".into()));
    assert_eq!(text(running.request("GET /any", "id: id_h\r\n", "")), (200, "hello".into()));
    assert_eq!(text(running.request("GET /any", "id: hello\r\n", "")), (200, "hello".into()));

    let (status, body) = text(running.request("GET /", "id: id_x\r\n", ""));
    assert_eq!(status, 404);
    assert!(body.contains("ERR_FUNCTION_NOT_FOUND") && body.contains("there are echo, id_h"), "{body}");
    let (status, body) = text(running.request("POST /hello/you", "", ""));
    assert_eq!(status, 404);
    assert!(body.contains("no function takes POST /hello/you") && body.contains("GET /hello/..."), "{body}");

    assert_eq!(running.api("POST /v1.0/invoke/echo/method/m", "over the API"), (200, "over the API".into()));
    assert_eq!(running.api("GET /v1.0/invoke/id_h/method/m", ""), (200, "hello".into()));
    // Without an application, its id means its functions.
    assert_eq!(running.api("GET /v1.0/invoke/functions/method/hello/me", ""), (200, "hello".into()));
}

#[test]
fn failures_have_their_status_and_harm_nobody_else() {
    let running = start(|folder| {
        let limits = "  limits: {time: 200ms, timeout: 1s, memory: 1Mi, body: 1Ki}\n";
        let local = r#"(drop (call $proxy_send_local_response (i32.const 418) 'why' 'teapot' (i32.const 0) (i32.const 0) (i32.const -1)))"#;
        let grow = "(if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))";
        vec![
            function(folder, "trap", &on_head("unreachable"), &route("/trap")),
            function(
                folder,
                "pause",
                &module(r#"(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))"#),
                &route("/pause"),
            ),
            function(folder, "loop", &on_head("(loop $again (br $again))"), &format!("{limits}{}", route("/loop"))),
            function(folder, "memory", &on_head(grow), &format!("{limits}{}", route("/memory"))),
            function(folder, "local", &on_head(local), &route("/local")),
            function(folder, "nothing", &on_head(""), &route("/nothing")),
            function(folder, "echo", &on_body("(call $show (call $body))"), &format!("{limits}{}", route("/echo"))),
        ]
    });
    for _ in 0..3 {
        for (path, status, part) in [
            ("/trap", 500, "ERR_FUNCTION_FAILED"),
            ("/pause", 500, "none of its calls is under way that could resume it"),
            ("/loop", 504, "ERR_FUNCTION_TIMEOUT"),
            ("/memory", 500, "raise its memory limit"),
            ("/local", 418, "teapot"),
            ("/nothing", 204, ""),
        ] {
            let (found, body) = running.get(path);
            assert!(found == status && body.contains(part), "{path}: {found} {body}");
        }
        let (status, body) = text(running.request("POST /echo", "", &"x".repeat(1025)));
        assert!(status == 413 && body.contains("raise its body limit"), "{status} {body}");
        assert_eq!(text(running.request("POST /echo", "", "fine")), (200, "fine".into()));
    }
}

#[test]
fn a_function_reaches_what_it_was_granted_and_the_log_tells_what_to_add() {
    let code = format!(
        "(call $show (call $proxy_set_state 'statestore' 'k' 'v1'))
         (call $show (call $proxy_get_state 'statestore' 'k' {OUT}))
         (call $show (call $proxy_get_state 'other' 'k' {OUT}))"
    );
    let running = start(|folder| {
        vec![
            STATE.to_owned(),
            function(folder, "state", &on_head(&code), &format!("  grants: {{state: [statestore]}}\n{}", route("/s"))),
        ]
    });
    // Saving gives nothing back, so what is shown first is what was there.
    let (status, body) = running.get("/s");
    assert!(status == 200 && body.ends_with("v110"), "{status} {body}");
    assert_eq!(running.api("GET /v1.0/state/statestore/k", ""), (200, "v1".into()));
    // Lines of the log are quoted texts.
    let line =
        "the function state may not read the state store 'other': add `state: [\\\"other:read\\\"]` to its `grants`";
    wait_for(&running, "the denied call is in the log", || running.sidecar.log().contains(line));
}

#[test]
fn functions_call_each_other_in_the_process_and_themselves_only_so_deep() {
    let call = |id: &str| format!("(call $show (call $proxy_invoke_service '{id}' '' 'x' {OUT}))");
    let running = start(|folder| {
        vec![
            function(folder, "hello", &on_head(HELLO), "  handler: id_h\n"),
            function(
                folder,
                "caller",
                &on_head(&call("id_h")),
                &format!("  grants: {{invoke: [id_h]}}\n{}", route("/c")),
            ),
            function(
                folder,
                "self",
                &on_head(&format!("(call $say '.') {}", call("self"))),
                &format!("  instances: {{max: 20}}\n  grants: {{invoke: [self]}}\n{}", route("/self")),
            ),
            function(
                folder,
                "one",
                &on_head(&call("one")),
                &format!("  instances: {{max: 1, wait: 100ms}}\n  grants: {{invoke: [one]}}\n{}", route("/one")),
            ),
        ]
    });
    assert_eq!(running.get("/c"), (200, "hello".into()));
    // One dot for each function, and the status with which the last call was refused.
    assert_eq!(running.get("/self"), (200, format!("{}10", ".".repeat(17))));
    assert_eq!(running.get("/one"), (200, "10".into()));
}

#[test]
fn a_changed_module_takes_over_and_a_broken_one_does_not() {
    let running = start(|folder| vec![function(folder, "hello", &on_head("(call $say 'one')"), &route("/h"))]);
    assert_eq!(running.get("/h"), (200, "one".into()));
    let path = running.folder.path().join("hello.wasm");
    replace(&path, &on_head("(call $say 'two')"));
    wait_for(&running, "the second module answers", || running.get("/h").1 == "two");
    replace(&path, b"no module");
    let line = "the new module cannot be used: the one before stays";
    wait_for(&running, "the third is refused", || running.sidecar.log().contains(line));
    assert_eq!(running.get("/h"), (200, "two".into()));
    let answer = running.request("GET /h", "", "");
    assert_eq!(answer.header("x-function-version"), Some("2"));
}

#[test]
fn a_module_that_is_not_there_yet_is_waited_for() {
    let running = start(|folder| {
        let manifest = function(folder, "late", &on_head(HELLO), &route("/late"));
        std::fs::remove_file(folder.join("late.wasm")).expect("the module");
        vec![manifest]
    });
    let answer = running.request("GET /late", "", "");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let (status, body) = text(answer);
    assert!(status == 503 && body.contains("no such file or directory"), "{status} {body}");
    replace(&running.folder.path().join("late.wasm"), &on_head(HELLO));
    wait_for(&running, "the module answers", || running.get("/late") == (200, "hello".into()));
}

#[test]
fn no_request_fails_while_modules_are_replaced() {
    let versions: Vec<Vec<u8>> = (0..2).map(|number| on_head(&format!("(call $say 'v{number}')"))).collect();
    let running = start(|folder| vec![function(folder, "hello", &versions[0], &route("/h"))]);
    let path = running.folder.path().join("hello.wasm");
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                        let (status, body) = running.get("/h");
                        assert!(status == 200 && body.starts_with('v'), "{status} {body}");
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for number in 1..=10 {
            replace(&path, &versions[number % 2]);
            let expected = format!("v{}", number % 2);
            wait_for(&running, &expected, || running.get("/h").1 == expected);
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        let total: usize = clients.into_iter().map(|client| client.join().expect("no failure")).sum();
        assert!(total > 100, "only {total} requests in {PATIENCE:?}");
    });
}
