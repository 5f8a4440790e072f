//! The bridge to the sidecar: requests come in, and the building blocks are called, through proxy-wasm.
//!
//! Under `cargo test` the sidecar is [`fake`]: it keeps state in memory, and what was sent for the test to look at.
#![allow(dead_code)]

#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
#[cfg(target_arch = "wasm32")]
mod guest;
use std::fmt;

#[cfg(not(target_arch = "wasm32"))]
use fake as sidecar;
#[cfg(target_arch = "wasm32")]
use guest as sidecar;

/// What the function is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What it answers.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A call that the sidecar refused, or that failed; the sidecar's log says why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    pub call: &'static str,
    pub status: u32,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} failed with status {}: the sidecar's log says why",
            self.call, self.status
        )
    }
}

impl std::error::Error for Error {}

impl Request {
    pub fn get(path: &str) -> Self {
        Self {
            method: "GET".into(),
            path: path.into(),
            ..Self::default()
        }
    }

    pub fn post(path: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST".into(),
            path: path.into(),
            body: body.into(),
            ..Self::default()
        }
    }

    /// The value of a header; names are in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl Response {
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        let kind = (
            "content-type".to_owned(),
            "text/plain; charset=utf-8".to_owned(),
        );
        Self {
            status,
            headers: vec![kind],
            body: text.into().into_bytes(),
        }
    }

    pub fn json(status: u16, json: impl Into<String>) -> Self {
        let kind = ("content-type".to_owned(), "application/json".to_owned());
        Self {
            status,
            headers: vec![kind],
            body: json.into().into_bytes(),
        }
    }
}

/// The value of a key; empty when there is none. Needs the grant `state: [STORE:read]`.
pub fn get_state(store: &str, key: &str) -> Result<Vec<u8>, Error> {
    sidecar::get_state(store, key)
}

/// Saves the value of a key. Needs the grant `state: [STORE]`.
pub fn set_state(store: &str, key: &str, value: &[u8]) -> Result<(), Error> {
    sidecar::set_state(store, key, value)
}

/// Deletes a key, if it is there. Needs the grant `state: [STORE]`.
pub fn delete_state(store: &str, key: &str) -> Result<(), Error> {
    sidecar::delete_state(store, key)
}

/// Publishes a message. Needs the grant `publish: [PUBSUB/TOPIC]`.
pub fn publish(pubsub: &str, topic: &str, data: &[u8], content_type: &str) -> Result<(), Error> {
    sidecar::publish(pubsub, topic, data, content_type)
}

/// Reads a secret of one value. Needs the grant `secrets: [STORE/NAME]`.
pub fn get_secret(store: &str, name: &str) -> Result<String, Error> {
    sidecar::get_secret(store, name)
}

/// Calls another function, or an application. Needs the grant `invoke: [ID]`.
pub fn invoke(id: &str, method: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    sidecar::invoke(id, method, body)
}

/// Calls an output binding. Needs the grant `bindings: [NAME]`.
pub fn bind(name: &str, operation: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
    sidecar::bind(name, operation, data)
}

/// Writes a line into the sidecar's log.
pub fn log(text: &str) {
    sidecar::log(2, text);
}
