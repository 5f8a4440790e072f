//! What functions reach outside of themselves when it is granted, and what the log says when it is not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};

use conformance::guests::relay;

use super::guest::{OUT, function, on_body, on_head};
use super::{start, text, wait_for};

fn spec(path: &str, grants: &str) -> String {
    format!("  triggers: [{{http: {{path: {path}}}}}]\n  grants: {{{grants}}}\n")
}

#[test]
fn a_binding_does_what_it_is_asked() {
    let create = format!(
        "(drop (call $body))
         (call $show (call $proxy_invoke_binding 'files' 'create'
            (i32.load (i32.const 16)) (i32.load (i32.const 20)) (i32.const 0) (i32.const 0) {OUT}))"
    );
    let running = start(|folder| {
        let files = folder.join("files");
        vec![
            format!(
                "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: files}}\nspec:\n  type: \
                 bindings.localstorage\n  version: v1\n  metadata: [{{name: rootPath, value: '{}'}}]\n",
                files.display()
            ),
            function(folder, "granted", &on_body(&create), &spec("/granted", "bindings: [files/create]")),
            function(folder, "denied", &on_body(&create), &spec("/denied", "bindings: [files/delete]")),
        ]
    });
    let (status, body) = text(running.request("POST /granted", "", "kept text"));
    assert!(status == 200 && body.contains("fileName"), "{status} {body}");
    let kept = || {
        let files = std::fs::read_dir(running.folder.path().join("files")).expect("the binding's folder");
        files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("a file")).collect::<Vec<_>>()
    };
    assert_eq!(kept(), ["kept text"]);
    let (status, body) = text(running.request("POST /denied", "", "other text"));
    assert!(status == 200 && body.len() == 2, "the guest gets a status: {status} {body}");
    let line = "the function denied may not ask the binding 'files' to 'create': add `bindings: [\\\"files\\\"]`";
    wait_for(&running, "the denied call is in the log", || running.sidecar.log().contains(line));
    assert_eq!(kept(), ["kept text"]);
}

#[test]
fn a_secret_is_given_and_no_other_is_and_the_log_has_none() {
    let read = |name: &str| on_head(&format!("(call $show (call $proxy_get_secret 'vault' '{name}' {OUT}))"));
    let running = start(|folder| {
        let file = folder.join("secrets.json");
        std::fs::write(&file, r#"{"api-key": "opensesame", "other": "swordfish"}"#).expect("a writable folder");
        vec![
            format!(
                "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: vault}}\nspec:\n  type: \
                 secretstores.local.file\n  version: v1\n  metadata: [{{name: secretsFile, value: '{}'}}]\n",
                file.display()
            ),
            function(folder, "granted", &read("api-key"), &spec("/granted", "secrets: [vault/api-key]")),
            function(folder, "denied", &read("other"), &spec("/denied", "secrets: [vault/api-key]")),
        ]
    });
    let (status, body) = running.get("/granted");
    assert!(status == 200 && body.contains("api-key\0opensesame\0"), "{status} {body:?}");
    let (status, body) = running.get("/denied");
    assert!(status == 200 && body.len() == 2, "the guest gets a status: {status} {body:?}");
    let line =
        "the function denied may not read the secret 'other' of 'vault': add `secrets: [\\\"vault/other\\\"]` to its";
    wait_for(&running, "the denied call is in the log", || running.sidecar.log().contains(line));
    let log = running.sidecar.log();
    assert!(!log.contains("opensesame") && !log.contains("swordfish"), "{log}");
}

#[test]
fn requests_go_to_hosts_that_were_granted_and_nowhere_else() {
    let host = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let origin = format!("http://{}", host.local_addr().expect("a bound listener"));
    let (asked, questions) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut connection in host.incoming().flatten() {
            let mut head = [0; 1024];
            let length = connection.read(&mut head).unwrap_or(0);
            // The test may be over.
            let _ = asked.send(String::from_utf8_lossy(&head[..length]).into_owned());
            let _ = connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\npong");
        }
    });
    let running = start(|folder| {
        vec![
            function(folder, "granted", &relay(&origin), &spec("/granted", &format!("hosts: ['{origin}']"))),
            function(folder, "denied", &relay(&origin), &spec("/denied", "hosts: ['https://api.example.com']")),
        ]
    });
    assert_eq!(running.get("/granted"), (200, "pong".into()));
    let question = questions.recv_timeout(super::PATIENCE).expect("a request");
    assert!(question.starts_with("GET / HTTP/1.1\r\n"), "{question}");
    let (status, body) = running.get("/denied");
    assert!(status == 200 && body.len() == 2, "the guest gets a status: {status} {body}");
    let line = format!("the upstream '{origin}' is not granted: add `hosts: [\\\"{origin}\\\"]` to its `grants`");
    wait_for(&running, "the denied call is in the log", || running.sidecar.log().contains(&line));
    assert!(questions.try_recv().is_err(), "the host was asked");
}
