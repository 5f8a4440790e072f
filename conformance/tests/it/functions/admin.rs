//! Functions that are managed while the sidecar runs, in Layotto's way.

use conformance::target::free_ports;

use super::guest::{on_head, replace};
use super::{Running, start_with, text, wait_for};

fn post(running: &Running, port: u16, path: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
    text(running.send(port, &request))
}

fn list(running: &Running, port: u16) -> String {
    text(running.send(port, "GET /wasm/functions HTTP/1.1\r\nhost: x\r\n\r\n")).1
}

#[test]
fn functions_are_installed_updated_rolled_back_and_uninstalled_and_outlive_a_restart() {
    let [port] = free_ports();
    let state = tempfile::tempdir().expect("a temporary folder");
    let state = state.path().to_string_lossy().into_owned();
    let arguments = ["--functions-admin-port", &port.to_string(), "--functions-state", &state];
    let mut running = start_with(|_| Vec::new(), &arguments);
    let path = running.folder.path().join("hello.wasm");
    let install = format!(
        r#"{{"name": "id_h", "instance_num": 2, "vm_config": {{"engine": "wasmtime", "path": "{}"}}}}"#,
        path.display()
    );
    // The module may come later, as in Layotto.
    assert_eq!(post(&running, port, "/wasm/install", &install), (200, String::new()));
    let twice = post(&running, port, "/wasm/install", &install);
    assert_eq!(twice, (500, r#"{"error":"id_h is already registered"}"#.into()));
    replace(&path, &on_head("(call $say 'one')"));
    let ask = |running: &Running| text(running.request("GET /", "id: id_h\r\n", ""));
    wait_for(&running, "the installed function answers", || ask(&running) == (200, "one".into()));
    replace(&path, &on_head("(call $say 'two')"));
    wait_for(&running, "its second module answers", || ask(&running).1 == "two");
    let (status, body) = post(&running, port, "/wasm/rollback", r#"{"name": "id_h"}"#);
    assert!(status == 200 && body.contains(r#""version":1"#), "{status} {body}");
    assert_eq!(ask(&running).1, "one");

    assert_eq!(post(&running, port, "/wasm/update", r#"{"name": "id_h", "instance_num": 7}"#).0, 200);
    assert!(list(&running, port).contains(r#""max":7"#), "{}", list(&running, port));
    let wrong = post(&running, port, "/wasm/update", r#"{"name": "id_h", "instance_num": 0}"#);
    assert_eq!(wrong, (500, r#"{"error":"instance_num should be greater than 0"}"#.into()));
    let page = running.send(port, "GET /wasm/functions HTTP/1.1\r\nhost: x\r\norigin: http://page\r\n\r\n");
    assert_eq!(page.status, 403);

    running.sidecar.stop();
    running.sidecar.run();
    wait_for(&running, "it is there after a restart", || ask(&running).0 == 200);
    assert!(list(&running, port).contains(r#""max":7"#));
    assert_eq!(post(&running, port, "/wasm/uninstall", r#"{"name": "id_h"}"#).0, 200);
    assert_eq!(ask(&running).0, 404);
    running.sidecar.stop();
    running.sidecar.run();
    assert_eq!(ask(&running).0, 404);
}

#[test]
fn the_port_asks_for_the_apis_token() {
    let [port] = free_ports();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sidecar = conformance::target::Sidecar::builder("functions")
        .argument("--functions-admin-port")
        .argument(port.to_string())
        .environment("DAPR_API_TOKEN", "secret")
        .start();
    let running = Running { sidecar, port, folder };
    let list = |headers: &str| running.send(port, &format!("GET /wasm/functions HTTP/1.1\r\nhost: x\r\n{headers}\r\n"));
    assert_eq!(list("").status, 401);
    assert_eq!(text(list("dapr-api-token: secret\r\n")), (200, r#"{"functions":[]}"#.into()));
}
