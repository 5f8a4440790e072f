//! What functions cost, and what they hold: calls in this process, requests to a sidecar, other traffic beside functions
//! that fail, and many functions that nobody calls.

mod beside;
mod calls;
mod idle;
mod served;

pub use calls::Call;

use http::Method;

use super::Settings;
use super::closed_loop::{self, Work};
use super::machine;
use super::report::Document;
use crate::client::http1::{Plan, exchange};
use crate::target::{Builder, Sidecar, free_ports};

/// State in memory, with a key of 1 KB that other traffic reads.
const STORE: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: store }
spec: { type: state.in-memory, version: v1 }
";

/// Adds the rows that are wanted.
pub fn measure(settings: &Settings, document: &mut Document) {
    let wants = |name: &str| settings.wants(name);
    document.functions.extend(calls::rows(&wants));
    if wants(served::ECHO) {
        document.functions.push(served::echo(settings));
    }
    if wants(served::FRESH) {
        document.functions.push(served::fresh(settings));
    }
    if wants(beside::NAME) {
        document.functions.push(beside::measure(settings));
    }
    if wants(idle::NAME) {
        document.functions.extend(idle::measure(settings));
    }
}

/// Saves the key that other traffic reads.
fn save(sidecar: &Sidecar) {
    let body = format!(r#"[{{"key":"key","value":"{}"}}]"#, "x".repeat(1024));
    let work = Work { connections: 1, ..Work::http1(Method::POST, "/v1.0/state/store", body.into()) };
    let first = closed_loop::run(&work, sidecar.http, std::time::Duration::from_millis(20));
    assert_eq!(first.errors, 0, "the key cannot be written: {:?}", first.first_error);
}

/// A sidecar with functions, and where they are called and managed.
struct Served {
    sidecar: Sidecar,
    port: u16,
    admin: u16,
}

impl Served {
    fn start(builder: Builder) -> Self {
        let [port, admin] = free_ports();
        let flags = [("--functions-port", port), ("--functions-admin-port", admin)];
        let add = |builder: Builder, (flag, port): (&str, u16)| builder.argument(flag).argument(port.to_string());
        Self { sidecar: flags.into_iter().fold(builder, add).start(), port, admin }
    }

    /// The body of an answer; the status must be good.
    fn get(&self, port: u16, path: &str) -> Vec<u8> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let plan = Plan { answers: Some(1), half_close: false, patience: std::time::Duration::from_secs(60) };
        let outcome = exchange(port, request.as_bytes(), plan);
        let answer = outcome.ok().and_then(|mut exchange| exchange.answers.pop());
        let answer = answer.unwrap_or_else(|| panic!("no answer to {path}:\n{}", self.sidecar.log()));
        assert!(answer.status < 300, "{path}: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
        answer.body
    }

    /// What the list of functions says, each as JSON.
    fn functions(&self) -> Vec<serde_json::Value> {
        let list = self.get(self.admin, "/wasm/functions");
        let list: serde_json::Value = serde_json::from_slice(&list).expect("the list is JSON");
        list["functions"].as_array().cloned().unwrap_or_default()
    }
}
