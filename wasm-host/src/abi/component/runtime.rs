//! `ottavo:runtime`: the calls of [`Sidecar`](crate::sidecar::Sidecar) that no standard interface has.

use bytes::Bytes;
use components::Metadata;
use components::metadata::Secret;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use wasmtime::component::Resource;

use super::bindings::imports::ottavo::runtime::{bindings, invocation, publish, secrets, state, types};
use super::link::Link;
use super::state::State;
use crate::body::{Body, Reader};
use crate::sidecar::{Binding, CallError, Event, StateChange};
use crate::store::Metered;

use types::Error;

impl types::Host for State {}

impl Link {
    /// What a guest learns of a failure, which is written down.
    fn failed(&self, error: CallError) -> Error {
        self.note(&error);
        match error {
            CallError::Denied { .. } => Error::Denied(error.to_string()),
            CallError::NotFound(text) => Error::NotFound(text),
            CallError::Invalid(text) => Error::Invalid(text),
            CallError::Conflict(text) => Error::Conflict(text),
            CallError::Unavailable(text) => Error::Unavailable(text),
            CallError::OutOfTime(text) => Error::Timeout(text),
            CallError::Failed(text) => Error::Failed(text),
        }
    }

    async fn change_all(&self, store: &str, changes: Vec<state::Change>, is_transaction: bool) -> Result<(), Error> {
        let changes = changes.into_iter().map(|change| match change {
            state::Change::Set(state::Set { key, value, etag, metadata }) => {
                StateChange::Set { key, value: value.into(), etag, metadata: map(metadata) }
            }
            state::Change::Delete(state::Delete { key, etag, metadata }) => {
                StateChange::Delete { key, etag, metadata: map(metadata) }
            }
        });
        let changed = self.sidecar.change_state(&self.caller, store, changes.collect(), is_transaction).await;
        changed.map_err(|error| self.failed(error))
    }
}

fn map(pairs: Vec<(String, String)>) -> Metadata {
    pairs.into_iter().collect()
}

impl state::Host for State {
    async fn get(&mut self, store: String, key: String) -> wasmtime::Result<Result<Option<state::Item>, Error>> {
        let found = self.link().read(&store, &key).await;
        let item = |item: crate::sidecar::StateItem| state::Item { value: item.value.into(), etag: item.etag };
        Ok(found.map(|found| found.map(item)).map_err(|error| self.link().failed(error)))
    }

    async fn apply(&mut self, store: String, changes: Vec<state::Change>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.link().change_all(&store, changes, false).await)
    }

    async fn transact(&mut self, store: String, changes: Vec<state::Change>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.link().change_all(&store, changes, true).await)
    }
}

impl publish::Host for State {
    async fn publish(&mut self, event: publish::Event) -> wasmtime::Result<Result<(), Error>> {
        let publish::Event { pubsub, topic, data, content_type, metadata } = event;
        let event = Event { pubsub, topic, data: data.into(), content_type, metadata: map(metadata) };
        let link = self.link();
        Ok(link.sidecar.publish(&link.caller, event).await.map_err(|error| link.failed(error)))
    }
}

impl secrets::Host for State {
    async fn get(
        &mut self,
        store: String,
        name: String,
    ) -> wasmtime::Result<Result<Vec<(String, Resource<Secret>)>, Error>> {
        let found = self.link().sidecar.secret(&self.link().caller, &store, &name).await;
        let found = match found {
            Ok(found) => found,
            Err(error) => return Ok(Err(self.link().failed(error))),
        };
        let mut secrets = Vec::with_capacity(found.len());
        for (key, secret) in found {
            secrets.push((key, self.table.push(secret)?));
        }
        Ok(Ok(secrets))
    }
}

impl secrets::HostSecret for State {
    async fn reveal(&mut self, secret: Resource<Secret>) -> wasmtime::Result<String> {
        Ok(self.table.get(&secret)?.reveal().to_owned())
    }

    async fn drop(&mut self, secret: Resource<Secret>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

impl invocation::Host for State {
    async fn invoke(
        &mut self,
        id: String,
        request: invocation::Request,
    ) -> wasmtime::Result<Result<invocation::Response, Error>> {
        // What does not fit into the guest is not read.
        let limit = self.meter().limits().memory;
        let link = self.link();
        let answer = match outgoing(request) {
            Ok(request) => link.sidecar.invoke(&link.caller, &id, request).await,
            Err(error) => Err(error),
        };
        let response = match answer {
            Ok(response) => response,
            Err(error) => return Ok(Err(link.failed(error))),
        };
        let (head, body) = response.into_parts();
        let headers = head.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        Ok(match Reader::new(body).all(limit).await {
            Ok(body) => Ok(invocation::Response { status: head.status.as_u16(), headers, body: body.into() }),
            Err(error) => Err(link.failed(CallError::Failed(format!("the answer of '{id}': {error}")))),
        })
    }
}

/// # Errors
/// [`CallError::Invalid`]
fn outgoing(request: invocation::Request) -> Result<Request<Body>, CallError> {
    let invocation::Request { verb, path, headers, body } = request;
    let wrong = |what: &str, value: &str| CallError::Invalid(format!("'{value}' is no {what}"));
    let mut outgoing = Request::new(Body::full(Bytes::from(body)));
    *outgoing.method_mut() = Method::from_bytes(verb.as_bytes()).map_err(|_| wrong("HTTP method", &verb))?;
    let slash = if path.starts_with('/') { "" } else { "/" };
    *outgoing.uri_mut() = format!("{slash}{path}").parse::<Uri>().map_err(|_| wrong("path", &path))?;
    for (name, value) in headers {
        let header = name.parse::<HeaderName>().map_err(|_| wrong("name of a header", &name))?;
        let value = HeaderValue::from_bytes(&value).map_err(|_| wrong("header with a usable value", &name))?;
        outgoing.headers_mut().append(header, value);
    }
    Ok(outgoing)
}

impl bindings::Host for State {
    async fn invoke(
        &mut self,
        name: String,
        operation: String,
        data: Vec<u8>,
        metadata: Vec<(String, String)>,
    ) -> wasmtime::Result<Result<bindings::Reply, Error>> {
        let call = Binding { name, operation, data: data.into(), metadata: map(metadata) };
        let link = self.link();
        let answer = link.sidecar.bind(&link.caller, call).await;
        let reply = |(data, metadata): (Bytes, Metadata)| bindings::Reply {
            data: data.into(),
            metadata: metadata.into_iter().collect(),
        };
        Ok(answer.map(reply).map_err(|error| link.failed(error)))
    }
}
