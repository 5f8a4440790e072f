//! The sidecar of tests: each thread, and so each test, has its own.

use std::cell::RefCell;
use std::collections::HashMap;

use super::Error;

#[derive(Default)]
pub struct Fake {
    /// By store and key.
    pub state: HashMap<(String, String), Vec<u8>>,
    /// By store and name.
    pub secrets: HashMap<(String, String), String>,
    /// What functions, applications and bindings answer, by id or name; without an answer a call fails.
    pub answers: HashMap<String, Vec<u8>>,
    /// What was published, invoked and bound: pubsub or id, topic or method or operation, data.
    pub calls: Vec<(String, String, Vec<u8>)>,
    pub log: Vec<String>,
}

thread_local!(static FAKE: RefCell<Fake> = RefCell::default());

/// Looks at the sidecar of this test, or changes it.
pub fn with<T>(work: impl FnOnce(&mut Fake) -> T) -> T {
    FAKE.with(|fake| work(&mut fake.borrow_mut()))
}

fn name(store: &str, key: &str) -> (String, String) {
    (store.to_owned(), key.to_owned())
}

pub fn get_state(store: &str, key: &str) -> Result<Vec<u8>, Error> {
    Ok(with(|fake| fake.state.get(&name(store, key)).cloned()).unwrap_or_default())
}

pub fn set_state(store: &str, key: &str, value: &[u8]) -> Result<(), Error> {
    with(|fake| fake.state.insert(name(store, key), value.to_vec()));
    Ok(())
}

pub fn delete_state(store: &str, key: &str) -> Result<(), Error> {
    with(|fake| fake.state.remove(&name(store, key)));
    Ok(())
}

pub fn publish(pubsub: &str, topic: &str, data: &[u8], _content_type: &str) -> Result<(), Error> {
    with(|fake| {
        fake.calls
            .push((pubsub.to_owned(), topic.to_owned(), data.to_vec()))
    });
    Ok(())
}

pub fn get_secret(store: &str, secret: &str) -> Result<String, Error> {
    with(|fake| fake.secrets.get(&name(store, secret)).cloned()).ok_or(Error {
        call: "get_secret",
        status: 10,
    })
}

pub fn invoke(id: &str, method: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
    call("invoke", id, method, body)
}

pub fn bind(name: &str, operation: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
    call("bind", name, operation, data)
}

fn call(call: &'static str, id: &str, method: &str, data: &[u8]) -> Result<Vec<u8>, Error> {
    with(|fake| {
        fake.calls
            .push((id.to_owned(), method.to_owned(), data.to_vec()));
        fake.answers
            .get(id)
            .cloned()
            .ok_or(Error { call, status: 10 })
    })
}

pub fn log(_level: u32, text: &str) {
    with(|fake| fake.log.push(text.to_owned()));
}
