//! The shim under a real containerd, by `ctr`: images with a module become functions of a gateway. Needs root.

mod image;
mod node;

use conformance::guests::on_head;
use conformance::target::Process;
use node::{Node, text};

const IMAGE: &str = "test.local/greeter:1";

/// Says `words` to whoever asks, and logs that it was asked.
fn greeter(words: &str) -> Vec<u8> {
    on_head(&format!("(drop (call $proxy_log (i32.const 2) 'asked'))(call $say '{words}')"))
}

/// Deletes a task that has ended; its exit code, of which `ctr` warns.
fn exit_code(node: &Node, id: &str) -> Option<u32> {
    let output = node.try_ctr(&["task", "delete", id]);
    let warning = text(&output.stderr);
    let (_, code) = warning.rsplit_once("exit code ")?;
    code.trim_end().trim_end_matches('"').parse().ok()
}

#[test]
fn an_image_becomes_a_function_that_answers_and_goes_with_its_container() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello from an image"))]);
    node.run(IMAGE, "greeter", &[]);
    assert_eq!(node.call("greeter"), (200, "hello from an image".into()));
    node.wait_for("its line is the container's output", || node.output("greeter") == "asked\n");
    let (pid, status) = node.task("greeter").expect("a task");
    assert_eq!(status, "RUNNING");
    assert_eq!(node.ctr(&["task", "ps", "greeter"]).lines().nth(1).map(str::trim_end), Some(&*format!("{pid}    -")));
    assert!(node.ctr(&["task", "metrics", "greeter"]).contains("pids.current"));
    for (words, what) in [
        (&["task", "exec", "--exec-id", "e", "greeter", "sh"][..], "running a process in a container"),
        (&["task", "pause", "greeter"][..], "pausing a container"),
    ] {
        let complaint = node.complaint(words);
        assert!(complaint.contains(&format!("{what} is not supported: the container is a function")), "{complaint}");
    }
    node.ctr(&["task", "kill", "greeter"]);
    node.wait_for("it has ended", || node.task("greeter").is_some_and(|(_, status)| status == "STOPPED"));
    assert_eq!(node.call("greeter").0, 404);
    assert_eq!(node.functions(), [""; 0]);
    assert_eq!(exit_code(&node, "greeter"), Some(143));
    assert_eq!(node.task("greeter"), None);
    node.ctr(&["container", "delete", "greeter"]);
    node.wait_for("its shim has ended", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    let modules = node.folder.path().join("functions/modules");
    assert_eq!(std::fs::read_dir(modules).expect("the folder of modules").count(), 0, "its module is gone, too");
}

#[test]
fn a_container_in_the_foreground_shows_its_lines_and_exits_as_a_killed_process_does() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    let run = node.command(&[
        "run",
        "--rm",
        "--snapshotter",
        "native",
        "--runtime",
        "io.containerd.ottavo.v2",
        IMAGE,
        "front",
    ]);
    let mut run = Process::start(run, &node.folder.path().join("front.log"));
    node.wait_for("the function answers", || node.call("front").0 == 200);
    node.wait_for("its line is shown", || run.log().contains("asked\n"));
    node.ctr(&["task", "kill", "--signal", "SIGKILL", "--all", "front"]);
    assert_eq!(run.wait(std::time::Duration::from_secs(60)).code(), Some(137), "{}", run.log());
    assert_eq!(node.call("front").0, 404);
    assert!(!node.ctr(&["container", "ls", "-q"]).contains("front"));
}

#[test]
fn a_module_that_is_none_fails_the_start_with_the_gateways_words() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", b"no module")]);
    let words = node.run_words(IMAGE, "bad", &[]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let complaint = node.complaint(&words);
    assert!(complaint.contains("the function bad cannot be made ready: "), "{complaint}");
    assert_eq!(node.functions(), [""; 0]);
    // `ctr` leaves to its user what did not start in the background.
    node.ctr(&["task", "delete", "--force", "bad"]);
    assert_eq!(node.task("bad"), None);
    node.ctr(&["container", "delete", "bad"]);
    // Another mistake is found before anything is put to the gateway.
    let mut words = node.run_words(IMAGE, "missing", &[]);
    words.push("missing.wasm".into());
    let complaint = node.complaint(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(complaint.contains("the module /missing.wasm of the image: No such file"), "{complaint}");
}

#[test]
fn the_function_of_a_shim_that_has_died_is_taken_away() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    node.run(IMAGE, "orphan", &[]);
    assert_eq!(node.call("orphan").0, 200);
    let (pid, _) = node.task("orphan").expect("a task");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).expect("a process");
    node.wait_for("its function is gone", || node.call("orphan").0 == 404);
    node.wait_for("its task is gone", || node.task("orphan").is_none());
    node.ctr(&["container", "delete", "orphan"]);
    // Nothing is left that would keep the next one from starting.
    node.run(IMAGE, "orphan", &[]);
    assert_eq!(node.call("orphan").0, 200);
}

#[test]
fn two_containers_of_one_image_are_two_functions_and_outlive_the_gateways_restart() {
    let mut node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    node.run(IMAGE, "one", &[]);
    node.run(IMAGE, "two", &[]);
    assert_eq!(node.functions(), ["one", "two"]);
    assert_ne!(node.task("one").expect("a task").0, node.task("two").expect("a task").0);
    node.gateway.stop();
    node.gateway.run();
    assert_eq!(node.call("one").0, 200);
    node.wait_for("lines come again", || {
        node.call("two");
        node.output("two").contains("asked")
    });
    node.ctr(&["task", "kill", "one"]);
    node.wait_for("the first is gone", || node.functions() == ["two"]);
    assert_eq!(node.call("two").0, 200);
    assert_eq!(node.task("two").expect("a task").1, "RUNNING");
}

#[test]
fn a_restart_of_containerd_is_not_the_containers() {
    let mut node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    node.run(IMAGE, "steady", &[]);
    node.restart_containerd();
    assert_eq!(node.call("steady").0, 200);
    assert_eq!(node.task("steady").expect("a task").1, "RUNNING");
    node.ctr(&["task", "kill", "steady"]);
    node.wait_for("it has ended", || node.task("steady").is_some_and(|(_, status)| status == "STOPPED"));
    assert_eq!(exit_code(&node, "steady"), Some(143));
    assert_eq!(node.functions(), [""; 0]);
}

#[test]
fn without_a_gateway_the_start_fails_and_leaves_nothing_that_would_wait_for_one() {
    let mut node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    node.gateway.stop();
    let words = node.run_words(IMAGE, "alone", &[]);
    let complaint = node.complaint(&words.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(complaint.contains("no answer of the gateway at unix:///"), "{complaint}");
    node.ctr(&["task", "delete", "--force", "alone"]);
    assert_eq!(node.task("alone"), None);
}

#[test]
fn a_container_is_not_deleted_before_its_function_can_be_taken_away() {
    let mut node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    node.run(IMAGE, "late", &[]);
    node.gateway.stop();
    node.ctr(&["task", "kill", "late"]);
    node.wait_for("it has ended", || node.task("late").is_some_and(|(_, status)| status == "STOPPED"));
    let complaint = node.complaint(&["task", "delete", "late"]);
    assert!(complaint.contains("the function late may still be at its gateway: no answer"), "{complaint}");
    node.gateway.run();
    assert_eq!(node.functions(), ["late"], "the gateway keeps what nobody could take away");
    assert_eq!(exit_code(&node, "late"), Some(143));
    assert_eq!(node.functions(), [""; 0]);
}

#[test]
fn annotations_and_the_images_own_manifest_say_what_the_function_is() {
    let node = Node::start();
    let manifest = b"kind: Function\nmetadata: {name: other}\nspec:\n  module: main.wasm\n  triggers: [{http: {path: /from/image}}]\n";
    node.import(IMAGE, &[("main.wasm", &greeter("hello")), ("function.yaml", manifest)]);
    node.run(IMAGE, "plain", &["--memory-limit", "33554432"]);
    assert_eq!(node.get("/from/image", ""), (200, "hello".into()));
    let name = "ottavo.dev/name=shop";
    let spec = r#"ottavo.dev/function={"triggers": [{"http": {"path": "/from/annotation"}}], "instances": {"max": 3}}"#;
    node.run(IMAGE, "annotated", &["--annotation", name, "--annotation", spec]);
    assert_eq!(node.get("/from/annotation", ""), (200, "hello".into()));
    let (status, function) = node.admin("GET", "/wasm/functions/shop", b"");
    assert_eq!(
        (status, &function["owner"], &function["instances"]["max"]),
        (200, &"default/annotated".into(), &3.into())
    );
    let (_, installed) = node.admin("GET", "/wasm/functions/plain", b"");
    assert_eq!(installed["owner"], "default/plain");
    let state = std::fs::read_dir(node.folder.path().join("functions")).expect("the folder of functions");
    let plain = state.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("plain-"));
    let plain = std::fs::read_to_string(plain.expect("a file").path()).expect("a text");
    assert!(plain.contains(r#""memory":"33554432""#) && plain.contains(r#""FROM_IMAGE":"yes""#), "{plain}");
}

#[test]
fn a_function_that_somebody_takes_away_ends_its_container() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    node.run(IMAGE, "taken", &[]);
    assert_eq!(node.admin("DELETE", "/wasm/functions/taken", b"").0, 200);
    node.wait_for("its task has ended", || node.task("taken").is_some_and(|(_, status)| status == "STOPPED"));
    assert_eq!(exit_code(&node, "taken"), Some(1));
    assert_eq!(node.output("taken"), "ottavo: the function taken was taken from its gateway\n");
}

#[test]
fn a_new_container_takes_over_the_name_of_an_old_one_whose_end_is_then_no_loss() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("old"))]);
    node.import("test.local/greeter:2", &[("main.wasm", &greeter("new"))]);
    let name = ["--annotation", "ottavo.dev/name=shop"];
    node.run(IMAGE, "old", &name);
    node.run("test.local/greeter:2", "new", &name);
    assert_eq!(node.call("shop"), (200, "new".into()));
    node.ctr(&["task", "kill", "old"]);
    node.wait_for("the old one has ended", || node.task("old").is_some_and(|(_, status)| status == "STOPPED"));
    assert_eq!(node.call("shop"), (200, "new".into()));
}

#[test]
fn the_sandbox_of_a_pod_is_held_and_shares_its_shim() {
    let node = Node::start();
    node.import(IMAGE, &[("main.wasm", &greeter("hello"))]);
    let pod = |name: &str, value: &str| format!("io.kubernetes.cri.{name}={value}");
    let sandbox = [pod("container-type", "sandbox"), pod("sandbox-id", "sandbox")];
    let member = [
        pod("container-type", "container"),
        pod("sandbox-id", "sandbox"),
        pod("container-name", "main"),
        pod("sandbox-name", "greeter-1"),
        pod("sandbox-namespace", "shop"),
    ];
    let flags = |annotations: &[String]| -> Vec<String> {
        annotations.iter().flat_map(|annotation| ["--annotation".to_owned(), annotation.clone()]).collect()
    };
    let run = |id: &str, annotations: &[String]| {
        let flags = flags(annotations);
        node.run(IMAGE, id, &flags.iter().map(String::as_str).collect::<Vec<_>>());
    };
    run("sandbox", &sandbox);
    assert_eq!(node.functions(), [""; 0], "a sandbox is no function");
    run("member", &member);
    assert_eq!(node.call("main-greeter-1").0, 200);
    assert_eq!(node.admin("GET", "/wasm/functions/main-greeter-1", b"").1["owner"], "default/shop/member");
    let (pid, _) = node.task("sandbox").expect("a task");
    assert_eq!(node.task("member").expect("a task").0, pid, "they share a shim");
    node.ctr(&["task", "kill", "--signal", "SIGKILL", "member"]);
    node.try_ctr(&["task", "delete", "member"]);
    assert_eq!(node.functions(), [""; 0]);
    assert_eq!(node.task("sandbox").expect("it is held").1, "RUNNING");
    node.ctr(&["task", "kill", "sandbox"]);
    node.wait_for("it has ended", || node.task("sandbox").is_some_and(|(_, status)| status == "STOPPED"));
}
