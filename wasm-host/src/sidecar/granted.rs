//! A sidecar that answers only what a function was granted.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;
use components::metadata::Secret;
use http::{Request, Response};

use super::calls::{Binding, CallError, Caller, Event, StateChange, StateItem};
use super::{Grants, Sidecar};
use crate::body::Body;

/// `sidecar` for a function that has `grants`.
pub struct Granted {
    pub grants: Grants,
    pub sidecar: Arc<dyn Sidecar>,
}

fn check(caller: &Caller, missing: Option<String>, what: impl FnOnce() -> String) -> Result<(), CallError> {
    match missing {
        None => Ok(()),
        Some(grant) => Err(CallError::Denied { function: caller.function.clone(), what: what(), grant }),
    }
}

/// Scheme and authority of a request to a host outside.
fn origin(request: &Request<Body>) -> Result<String, CallError> {
    let uri = request.uri();
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => Ok(format!("{scheme}://{authority}").to_lowercase()),
        _ => Err(CallError::Invalid(format!("'{uri}' is no http or https address"))),
    }
}

#[async_trait]
impl Sidecar for Granted {
    async fn get_state(&self, caller: &Caller, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        check(caller, self.grants.missing_state(store, true), || format!("read the state store '{store}'"))?;
        self.sidecar.get_state(caller, store, key).await
    }

    async fn change_state(
        &self,
        caller: &Caller,
        store: &str,
        changes: Vec<StateChange>,
        is_transaction: bool,
    ) -> Result<(), CallError> {
        check(caller, self.grants.missing_state(store, false), || format!("change the state store '{store}'"))?;
        self.sidecar.change_state(caller, store, changes, is_transaction).await
    }

    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        let (pubsub, topic) = (&event.pubsub, &event.topic);
        let missing = self.grants.missing_publish(pubsub, topic);
        check(caller, missing, || format!("publish to the topic '{topic}' of '{pubsub}'"))?;
        self.sidecar.publish(caller, event).await
    }

    async fn secret(&self, caller: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        let missing = self.grants.missing_secret(store, name);
        check(caller, missing, || format!("read the secret '{name}' of '{store}'"))?;
        self.sidecar.secret(caller, store, name).await
    }

    async fn invoke(&self, caller: &Caller, id: &str, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let missing = self.grants.missing_invoke(id, request.uri().path());
        check(caller, missing, || format!("call '{id}'"))?;
        self.sidecar.invoke(caller, id, request).await
    }

    async fn bind(&self, caller: &Caller, call: Binding) -> Result<(Bytes, Metadata), CallError> {
        let (name, operation) = (&call.name, &call.operation);
        let missing = self.grants.missing_binding(name, operation);
        check(caller, missing, || format!("ask the binding '{name}' to '{operation}'"))?;
        self.sidecar.bind(caller, call).await
    }

    async fn send(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let origin = origin(&request)?;
        check(caller, self.grants.missing_host(&origin), || format!("send requests to {origin}"))?;
        self.sidecar.send(caller, request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Sidecar for Nothing {}

    #[tokio::test]
    async fn what_is_not_granted_is_refused_with_the_line_to_add() {
        let granted = Granted { grants: Grants::default(), sidecar: Arc::new(Nothing) };
        let error = granted.get_state(&Caller::new("counter"), "orders", "k").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the function counter may not read the state store 'orders': add `state: [\"orders:read\"]` to its `grants`"
        );
    }

    #[tokio::test]
    async fn what_is_granted_reaches_the_sidecar() {
        let grants = Grants { hosts: vec!["https://api.example.com".into()], ..Grants::default() };
        let granted = Granted { grants, sidecar: Arc::new(Nothing) };
        let request = Request::get("https://API.example.com/x").body(Body::full("")).unwrap();
        let error = granted.send(&Caller::new("counter"), request).await.err().unwrap();
        assert_eq!(error, CallError::Failed("nothing sends requests to https://API.example.com/x".into()));
    }
}
