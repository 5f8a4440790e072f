//! Functions managed by their names over a gateway's socket: uploaded, replaced, followed, taken away.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conformance::client::http1::{Plan, exchange};
use conformance::client::unix;
use conformance::guests::{function, on_head};
use conformance::target::{Sidecar, free_ports, ottavo};
use serde_json::{Value, json};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

struct Gateway {
    sidecar: Sidecar,
    port: u16,
    folder: TempDir,
}

impl Gateway {
    fn start(declare: impl FnOnce(&Path) -> Vec<String>, token: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [port] = free_ports();
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let mut builder = Sidecar::builder("manage").patience(2 * PATIENCE);
        for word in ["--functions-port", &port.to_string(), "--functions-admin-socket", &path("run/admin.sock")] {
            builder = builder.argument(word);
        }
        builder = builder.argument("--functions-state").argument(path("state"));
        for resource in declare(folder.path()) {
            builder = builder.resource(resource);
        }
        if let Some(token) = token {
            builder = builder.environment("DAPR_API_TOKEN", token);
        }
        Self { sidecar: builder.start(), port, folder }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("run/admin.sock")
    }

    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        unix::ask(&self.socket(), method, path, body)
    }

    /// Uploads a module and puts it as the function `name`.
    fn put(&self, name: &str, module: &[u8], owner: Option<&str>) -> (u16, Value) {
        let (status, brought) = self.ask("PUT", "/wasm/modules", module);
        assert_eq!(status, 200, "{brought}");
        let body = json!({ "spec": { "module": brought["module"] }, "owner": owner });
        self.ask("PUT", &format!("/wasm/functions/{name}"), body.to_string().as_bytes())
    }

    fn call(&self, name: &str) -> (u16, String) {
        let plan = Plan { answers: Some(1), half_close: false, patience: PATIENCE };
        let request = format!("GET / HTTP/1.1\r\nhost: x\r\nid: {name}\r\n\r\n");
        let answer = exchange(self.port, request.as_bytes(), plan).expect("a connection").answers.remove(0);
        (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
    }

    fn modules(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("state/modules")).map_or(0, Iterator::count)
    }
}

fn saying(words: &str) -> Vec<u8> {
    on_head(&format!("(drop (call $proxy_log (i32.const 2) 'asked'))(call $say '{words}')"))
}

#[test]
fn a_function_is_replaced_without_a_failed_call_and_stays_when_the_new_one_cannot_be() {
    let mut gateway = Gateway::start(|_| Vec::new(), None);
    assert_eq!(gateway.put("shop", &saying("one"), None).0, 200);
    assert_eq!(gateway.call("shop"), (200, "one".into()));
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| {
            let mut calls = 0;
            while !is_done.load(Ordering::Relaxed) {
                let (status, body) = gateway.call("shop");
                assert!(status == 200 && (body == "one" || body == "two"), "{status} {body}");
                calls += 1;
            }
            calls
        });
        let (status, about) = gateway.put("shop", &saying("two"), None);
        assert_eq!((status, &about["version"]), (200, &2.into()));
        // Whoever asks from now on has the new one.
        assert_eq!(gateway.call("shop"), (200, "two".into()));
        is_done.store(true, Ordering::Relaxed);
        assert!(caller.join().expect("no failed call") > 0);
    });
    assert_eq!(gateway.modules(), 1, "the module of before is gone");
    let before = gateway.ask("GET", "/wasm/functions/shop", b"").1;
    let (status, answer) = gateway.put("shop", b"no module", None);
    let reason = answer["error"].as_str().unwrap_or_default();
    assert!(status == 422 && reason.starts_with("the function shop cannot be made ready: "), "{status} {answer}");
    let after = gateway.ask("GET", "/wasm/functions/shop", b"").1;
    assert_eq!(
        (&after["sha256"], &after["error"], &after["version"]),
        (&before["sha256"], &Value::Null, &before["version"])
    );
    assert_eq!(gateway.modules(), 1, "the refused module is gone");
    // What was put outlives a restart, and what was refused does not come back with it.
    gateway.sidecar.stop();
    gateway.sidecar.run();
    assert_eq!(gateway.call("shop"), (200, "two".into()));
    assert_eq!(gateway.ask("DELETE", "/wasm/functions/shop", b"").0, 200);
    assert_eq!((gateway.call("shop").0, gateway.modules()), (404, 0));
    let gone = gateway.ask("DELETE", "/wasm/functions/shop", b"");
    assert_eq!(gone, (404, json!({ "error": "shop is not registered" })));
}

#[test]
fn functions_of_others_and_of_manifests_are_left_alone() {
    let declared = |folder: &Path| vec![function(folder, "declared", &saying("declared"), "")];
    let gateway = Gateway::start(declared, None);
    assert_eq!(gateway.put("shop", &saying("a"), Some("a/1")).0, 200);
    let (status, answer) = gateway.put("shop", &saying("b"), Some("b/1"));
    assert_eq!((status, &answer["error"]), (409, &"shop is there already, and belongs to a/1".into()));
    assert_eq!(gateway.put("shop", &saying("new"), Some("a/2")).0, 200);
    assert_eq!(gateway.ask("DELETE", "/wasm/functions/shop?owner=a%2F1", b"").0, 409);
    assert_eq!(gateway.call("shop"), (200, "new".into()));
    assert_eq!(gateway.ask("DELETE", "/wasm/functions/shop?owner=a%2F2", b"").0, 200);
    let (status, answer) = gateway.put("declared", &saying("other"), None);
    let reason = answer["error"].as_str().unwrap_or_default();
    assert!(status == 409 && reason.starts_with("declared is declared in /"), "{status} {answer}");
    assert_eq!(gateway.call("declared"), (200, "declared".into()));
    assert_eq!(gateway.ask("PUT", "/wasm/functions/x", b"{}").0, 400);
    assert_eq!(gateway.ask("POST", "/wasm/functions/x", b"{}").0, 404);
}

#[test]
fn a_functions_lines_are_followed_until_it_is_taken_away() {
    let gateway = Gateway::start(|_| Vec::new(), None);
    gateway.put("shop", &saying("x"), None);
    let mut lines = BufReader::new(unix::open(&gateway.socket(), "GET", "/wasm/functions/shop/logs", b"")).lines();
    let mut next = || lines.next().and_then(Result::ok);
    assert_eq!(next().as_deref(), Some("HTTP/1.1 200 OK"));
    while next().is_some_and(|line| !line.is_empty()) {}
    gateway.call("shop");
    // A chunk: its length, its bytes, and an empty line.
    assert_eq!([next(), next(), next()], ["6", "asked", ""].map(|line| Some(line.to_owned())));
    gateway.ask("DELETE", "/wasm/functions/shop", b"");
    assert_eq!([next(), next(), next()], [Some("0".to_owned()), Some(String::new()), None]);
    assert_eq!(gateway.ask("GET", "/wasm/functions/shop/logs", b"").0, 404);
}

#[test]
fn the_socket_is_its_users_alone_and_asks_for_the_apis_token() {
    let gateway = Gateway::start(|_| Vec::new(), Some("secret"));
    assert_eq!(std::fs::metadata(gateway.socket()).expect("a socket").mode() & 0o777, 0o600);
    assert_eq!(gateway.ask("GET", "/wasm/functions", b"").0, 401);
}

#[test]
fn the_command_line_deploys_over_the_socket_and_follows() {
    let mut gateway = Gateway::start(|_| Vec::new(), None);
    let project = gateway.folder.path().join("project");
    std::fs::create_dir(&project).expect("a fresh folder");
    let manifest =
        "apiVersion: ottavo.io/v1alpha1\nkind: Function\nmetadata: {name: shop}\nspec: {module: shop.wasm}\n";
    std::fs::write(project.join("function.yaml"), manifest).expect("a fresh file");
    let address = format!("unix://{}", gateway.socket().display());
    let run = |words: &[&str]| {
        let mut command = Command::new(ottavo());
        command.arg("function").args(words).args(["--admin", &address]).current_dir(&project);
        command
    };
    for words in ["one", "two"] {
        std::fs::write(project.join("shop.wasm"), saying(words)).expect("a writable folder");
        let output = run(&["deploy"]).output().expect("ottavo starts");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed, format!("shop is at {address}: ready\n"), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(gateway.call("shop"), (200, words.to_owned()));
    }
    let log = gateway.folder.path().join("followed");
    let mut logs = conformance::target::Process::start(run(&["logs", "shop"]), &log);
    logs.wait_until("a line", PATIENCE, || {
        gateway.call("shop");
        std::fs::read_to_string(&log).is_ok_and(|log| log.starts_with("asked\n"))
    });
    let removed = run(&["remove", "shop"]).status().expect("ottavo starts");
    assert!(removed.success());
    assert!(logs.wait(PATIENCE).success(), "{}", logs.log());
    gateway.sidecar.stop();
}
