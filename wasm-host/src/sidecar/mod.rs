//! What a function can reach outside of itself: the building blocks, other functions, applications and hosts.
//!
//! The gateway answers [`Sidecar`], a test fakes it. Guests of every kind reach it through [`Granted`], which refuses what
//! [`Grants`] do not name.

mod calls;
mod granted;
mod grants;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use components::Metadata;
use components::metadata::Secret;
use http::{Request, Response};

use crate::body::Body;

pub use calls::{Binding, CallError, Caller, Event, StateChange, StateItem};
pub use granted::Granted;
pub use grants::Grants;

/// The calls that a function can make. Every method that is not implemented says that there is nothing to call.
#[async_trait]
pub trait Sidecar: Send + Sync {
    /// The value of a key; `None`: there is no such key. The key is prefixed as the store's component says.
    async fn get_state(&self, caller: &Caller, store: &str, key: &str) -> Result<Option<StateItem>, CallError> {
        let _ = (caller, key);
        Err(CallError::NotFound(format!("there is no state store '{store}'")))
    }

    /// Saves and deletes keys: one after the other, or all or none where `is_transaction`.
    async fn change_state(
        &self,
        caller: &Caller,
        store: &str,
        changes: Vec<StateChange>,
        is_transaction: bool,
    ) -> Result<(), CallError> {
        let _ = (caller, changes, is_transaction);
        Err(CallError::NotFound(format!("there is no state store '{store}'")))
    }

    /// Publishes one message.
    async fn publish(&self, caller: &Caller, event: Event) -> Result<(), CallError> {
        let _ = caller;
        Err(CallError::NotFound(format!("there is no pubsub '{}'", event.pubsub)))
    }

    /// A secret of a store, by its keys.
    async fn secret(&self, caller: &Caller, store: &str, name: &str) -> Result<BTreeMap<String, Secret>, CallError> {
        let _ = (caller, name);
        Err(CallError::NotFound(format!("there is no secret store '{store}'")))
    }

    /// Calls another function, or an application, by its id; the request's path is the method.
    async fn invoke(&self, caller: &Caller, id: &str, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let _ = (caller, request);
        Err(CallError::NotFound(format!("there is no function or application '{id}'")))
    }

    /// Calls an output binding: what it answers, and the answer's metadata.
    async fn bind(&self, caller: &Caller, call: Binding) -> Result<(Bytes, Metadata), CallError> {
        let _ = caller;
        Err(CallError::NotFound(format!("there is no output binding '{}'", call.name)))
    }

    /// Sends a request to a host outside; its URI is absolute.
    async fn send(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>, CallError> {
        let _ = caller;
        Err(CallError::Failed(format!("nothing sends requests to {}", request.uri())))
    }
}
