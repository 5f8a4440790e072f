//! The building blocks, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;
use components::metadata::Secret;
use http::{Request, Response};
use http_body_util::BodyExt;

use crate::body::Body;
use crate::sidecar::{Binding, CallError, Caller, Event, Sidecar, StateChange, StateItem};

/// What a function has asked for, beside state and secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Publish(Event),
    Bind(Binding),
    /// The id, `GET /path`, and the body.
    Invoke(String, String, Bytes),
    /// `GET https://host/path`, and the body.
    Send(String, Bytes),
}

/// A sidecar with every state store and broker, empty; and with the secrets and answers that a test gives it.
#[derive(Default)]
pub struct FakeSidecar(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    /// By store and key: the value, and how often it was changed.
    state: HashMap<(String, String), (Bytes, u64)>,
    changes: u64,
    secrets: HashMap<(String, String), String>,
    answers: HashMap<String, (u16, Bytes)>,
    calls: Vec<Call>,
}

impl FakeSidecar {
    /// Saves the value of a key.
    pub fn set(&self, store: &str, key: &str, value: impl Into<Bytes>) {
        self.inner().set(store, key.to_owned(), value.into());
    }

    /// The value of a key.
    pub fn get(&self, store: &str, key: &str) -> Option<Bytes> {
        self.inner().state.get(&(store.to_owned(), key.to_owned())).map(|(value, _)| value.clone())
    }

    /// Makes a secret.
    pub fn secret(&self, store: &str, name: &str, value: &str) {
        self.inner().secrets.insert((store.to_owned(), name.to_owned()), value.to_owned());
    }

    /// What a function, an application, a binding or a host (`https://api.example.com`) answers. Bindings have no status.
    pub fn answer(&self, who: &str, status: u16, body: impl Into<Bytes>) {
        self.inner().answers.insert(who.to_owned(), (status, body.into()));
    }

    /// What was asked since the last time.
    pub fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.inner().calls)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered(&self, who: &str, call: Call) -> Result<Response<Body>, CallError> {
        let mut inner = self.inner();
        inner.calls.push(call);
        let (status, body) = inner
            .answers
            .get(who)
            .cloned()
            .ok_or_else(|| CallError::NotFound(format!("this test has no answer of '{who}'")))?;
        let response = Response::builder().status(status).body(Body::full(body));
        response.map_err(|error| CallError::Invalid(format!("the answer of '{who}': {error}")))
    }
}

impl Inner {
    fn set(&mut self, store: &str, key: String, value: Bytes) {
        self.changes += 1;
        self.state.insert((store.to_owned(), key), (value, self.changes));
    }

    /// Whether an ETag is the value's; `None` fits any.
    fn fits(&self, store: &str, change: &StateChange) -> bool {
        let found = |key: &String| self.state.get(&(store.to_owned(), key.clone()));
        let (key, etag) = match change {
            StateChange::Create { key, .. } => return found(key).is_none(),
            StateChange::Set { key, etag, .. } | StateChange::Delete { key, etag, .. } => (key, etag),
        };
        let Some(etag) = etag else { return true };
        found(key).is_some_and(|(_, version)| version.to_string() == *etag)
    }

    fn change(&mut self, store: &str, change: StateChange) {
        match change {
            StateChange::Set { key, value, .. } | StateChange::Create { key, value, .. } => self.set(store, key, value),
            StateChange::Delete { key, .. } => {
                self.state.remove(&(store.to_owned(), key));
            }
        }
    }
}

async fn whole(body: Body) -> Result<Bytes, CallError> {
    let body = body.collect().await.map_err(|error| CallError::Failed(error.to_string()))?;
    Ok(body.to_bytes())
}

#[async_trait]
impl Sidecar for FakeSidecar {
    async fn get_state(&self, _: &Caller, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        let inner = self.inner();
        let found = inner.state.get(&(store.to_owned(), key.to_owned()));
        Ok(found.map(|(value, version)| StateItem { value: value.clone(), etag: Some(version.to_string()) }))
    }

    async fn change_state(
        &self,
        _: &Caller,
        store: &str,
        changes: Vec<StateChange>,
        is_transaction: bool,
    ) -> Result<(), CallError> {
        let mut inner = self.inner();
        let conflict = || Err(CallError::Conflict("possible etag mismatch".to_owned()));
        if is_transaction && !changes.iter().all(|change| inner.fits(store, change)) {
            return conflict();
        }
        for change in changes {
            if !inner.fits(store, &change) {
                return conflict();
            }
            inner.change(store, change);
        }
        Ok(())
    }

    async fn publish(&self, _: &Caller, event: Event) -> Result<(), CallError> {
        self.inner().calls.push(Call::Publish(event));
        Ok(())
    }

    async fn secret(&self, _: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        let inner = self.inner();
        let value = inner.secrets.get(&(store.to_owned(), name.to_owned()));
        let value =
            value.ok_or_else(|| CallError::NotFound(format!("this test has no secret '{name}' in '{store}'")))?;
        Ok(BTreeMap::from([(name.to_owned(), Secret::new(value.clone()))]))
    }

    async fn invoke(&self, _: &Caller, id: &str, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let (parts, body) = request.into_parts();
        let call = Call::Invoke(id.to_owned(), format!("{} {}", parts.method, parts.uri), whole(body).await?);
        self.answered(id, call)
    }

    async fn bind(&self, _: &Caller, call: Binding) -> Result<(Bytes, Metadata), CallError> {
        let response = self.answered(&call.name.clone(), Call::Bind(call))?;
        Ok((whole(response.into_body()).await?, Metadata::new()))
    }

    async fn send(&self, _: &Caller, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let (parts, body) = request.into_parts();
        let host = format!(
            "{}://{}",
            parts.uri.scheme_str().unwrap_or_default(),
            parts.uri.authority().map(|authority| authority.as_str()).unwrap_or_default()
        );
        let call = Call::Send(format!("{} {}", parts.method, parts.uri), whole(body).await?);
        self.answered(&host, call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(value: &'static str, etag: Option<String>) -> StateChange {
        StateChange::Set { key: "k".into(), value: value.into(), etag, metadata: Metadata::new() }
    }

    #[tokio::test]
    async fn versions_hold_off_stale_changes() {
        let (sidecar, caller) = (FakeSidecar::default(), Caller::new("test"));
        sidecar.set("store", "k", "1");
        let etag = sidecar.get_state(&caller, "store", "k").await.unwrap().unwrap().etag;
        sidecar.change_state(&caller, "store", vec![set("2", etag.clone())], false).await.unwrap();
        let error = sidecar.change_state(&caller, "store", vec![set("3", etag)], true).await.unwrap_err();
        assert!(matches!(error, CallError::Conflict(_)), "{error}");
        assert_eq!(sidecar.get("store", "k").as_deref(), Some(&b"2"[..]));
    }

    #[tokio::test]
    async fn calls_are_answered_as_the_test_says_and_remembered() {
        let (sidecar, caller) = (FakeSidecar::default(), Caller::new("test"));
        let request = || Request::post("/order").body(Body::full("tea")).unwrap();
        let error = sidecar.invoke(&caller, "shop", request()).await.err().unwrap();
        assert_eq!(error.to_string(), "this test has no answer of 'shop'");
        sidecar.answer("shop", 201, "sold");
        let response = sidecar.invoke(&caller, "shop", request()).await.unwrap();
        assert_eq!(
            (response.status(), whole(response.into_body()).await.unwrap()),
            (http::StatusCode::CREATED, "sold".into())
        );
        let call = Call::Invoke("shop".into(), "POST /order".into(), "tea".into());
        assert_eq!(sidecar.calls(), [call.clone(), call]);
        assert_eq!(sidecar.calls(), []);
    }
}
