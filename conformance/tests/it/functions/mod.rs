//! Functions in the built program: how they are called, what they reach, how they fail, how they are replaced.

mod admin;
mod layotto;
mod limits;
mod reach;
mod reload;
mod requests;
mod triggers;

use std::path::Path;
use std::time::{Duration, Instant};

use conformance::client::http1::{Answer, Plan, exchange};
use conformance::guests as guest;
use conformance::target::{Sidecar, free_ports};

const PATIENCE: Duration = Duration::from_secs(60);

/// State in memory, as `statestore` and as what Layotto's demo calls it.
const STATE: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {name: statestore}\nspec: {type: state.in-memory, version: v1}\n";

/// A sidecar with functions.
struct Running {
    sidecar: Sidecar,
    /// Where functions are called.
    port: u16,
    /// Where their modules are.
    folder: tempfile::TempDir,
}

/// Starts a sidecar with the resources that `declare` gives, in whose folder modules can be put.
fn start(declare: impl FnOnce(&Path) -> Vec<String>) -> Running {
    start_with(declare, &[])
}

fn start_with(declare: impl FnOnce(&Path) -> Vec<String>, arguments: &[&str]) -> Running {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [port] = free_ports();
    // A build without optimisation compiles modules slowly.
    let builder = Sidecar::builder("functions").patience(2 * PATIENCE);
    let mut builder = builder.argument("--functions-port").argument(port.to_string());
    for resource in declare(folder.path()) {
        builder = builder.resource(resource);
    }
    for argument in arguments {
        builder = builder.argument(*argument);
    }
    Running { sidecar: builder.start(), port, folder }
}

impl Running {
    fn send(&self, port: u16, request: &str) -> Answer {
        let plan = Plan { answers: Some(1), half_close: false, patience: PATIENCE };
        let exchange = exchange(port, request.as_bytes(), plan).expect("a connection");
        exchange.answers.into_iter().next().unwrap_or_else(|| panic!("no answer of {request}:\n{}", self.sidecar.log()))
    }

    /// A request to the functions' port; `headers` are whole lines.
    fn request(&self, line: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(self.port, &format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n{body}"))
    }

    /// Status and body of a GET.
    fn get(&self, path: &str) -> (u16, String) {
        text(self.request(&format!("GET {path}"), "", ""))
    }

    /// Status and body of an answer of the HTTP API.
    fn api(&self, line: &str, body: &str) -> (u16, String) {
        let length = body.len();
        text(self.send(
            self.sidecar.http,
            &format!(
                "{line} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            ),
        ))
    }
}

fn text(answer: Answer) -> (u16, String) {
    (answer.status, String::from_utf8_lossy(&answer.body).into_owned())
}

/// Waits until `what` is so.
fn wait_for(running: &Running, what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "it never came to this: {what}\n{}", running.sidecar.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
