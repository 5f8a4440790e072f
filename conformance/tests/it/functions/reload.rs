//! Manifests that change while the sidecar runs, read anew at SIGHUP.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{function, module, on_head};
use super::{Running, start, wait_for};

fn reload(running: &Running) {
    let id = i32::try_from(running.sidecar.id()).expect("a process id");
    kill(Pid::from_raw(id), Signal::SIGHUP).expect("the sidecar runs");
}

fn route(path: &str) -> String {
    format!("  triggers: [{{http: {{path: {path}}}}}]\n")
}

#[test]
fn changed_functions_are_replaced_new_ones_come_old_ones_go_and_the_others_go_on() {
    // Says how many calls its guest has had.
    let count = r#"(global $calls (mut i32) (i32.const 48))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store8 (i32.const 80) (global.get $calls)) (call $say (i32.const 80) (i32.const 1)) (i32.const 0))"#;
    let say = |text: &str| on_head(&format!("(call $say '{text}')"));
    let running = start(|folder| {
        vec![
            function(folder, "counts", &module(count), &route("/counts")),
            function(folder, "changes", &say("one"), &route("/changes")),
            function(folder, "goes", &say("still here"), &route("/goes")),
        ]
    });
    let folder = running.folder.path();
    let write = |number: usize, manifest: &str| {
        let path = running.sidecar.resources().join(format!("{number:02}.yaml"));
        std::fs::write(path, manifest).expect("a writable folder");
    };
    assert_eq!((running.get("/counts").1, running.get("/counts").1), ("1".into(), "2".into()));
    assert_eq!(running.get("/changes"), (200, "one".into()));
    assert_eq!(running.get("/goes"), (200, "still here".into()));

    write(1, &function(folder, "changes", &say("two"), &route("/changed")));
    write(2, &function(folder, "comes", &say("new"), &route("/comes")));
    reload(&running);
    wait_for(&running, "the new function answers", || running.get("/comes") == (200, "new".into()));
    assert_eq!(running.get("/goes").0, 404);
    assert_eq!((running.get("/changes").0, running.get("/changed")), (404, (200, "two".into())));
    assert_eq!(running.request("GET /changed", "", "").header("x-function-version"), Some("2"));
    assert_eq!(running.get("/counts").1, "3", "what did not change keeps its guests");

    // A manifest that cannot be read changes nothing.
    write(
        2,
        "apiVersion: ottavo.io/v1alpha1\nkind: Function\nmetadata: {name: comes}\nspec: {limits: {memory: much}}\n",
    );
    reload(&running);
    wait_for(&running, "the mistake is told", || running.sidecar.log().contains("The functions stay as they are"));
    assert_eq!(running.get("/comes"), (200, "new".into()));
    assert_eq!(running.get("/counts").1, "4");
}
