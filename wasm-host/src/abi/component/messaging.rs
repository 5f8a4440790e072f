//! `wasi:messaging`: publishing, and taking messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use wasmtime::component::Resource;

use super::Inner;
use super::bindings::imports::wasi::messaging::{producer, types};
use super::bindings::messages::MessagesPre;
use super::state::State;
use crate::error::Result;
use crate::function::{self, CLOUD_EVENT, Outcome};
use crate::log::Level;
use crate::sidecar::{CallError, Caller, Event};
use crate::store::{begin, within};

use types::Error;

/// A pub/sub component.
pub struct Client {
    pubsub: String,
}

/// A payload with what is said about it.
#[derive(Default)]
pub struct Message {
    topic: Option<String>,
    content_type: Option<String>,
    data: Vec<u8>,
    metadata: Option<BTreeMap<String, String>>,
}

impl types::Host for State {}

impl types::HostClient for State {
    /// Every name can be connected to; sending shows whether there is such a component and whether it is granted.
    async fn connect(&mut self, name: String) -> wasmtime::Result<std::result::Result<Resource<Client>, Error>> {
        Ok(Ok(self.table.push(Client { pubsub: name })?))
    }

    async fn disconnect(&mut self, client: Resource<Client>) -> wasmtime::Result<std::result::Result<(), Error>> {
        self.table.get(&client)?;
        Ok(Ok(()))
    }

    async fn drop(&mut self, client: Resource<Client>) -> wasmtime::Result<()> {
        self.table.delete(client)?;
        Ok(())
    }
}

impl types::HostMessage for State {
    async fn new(&mut self, data: Vec<u8>) -> wasmtime::Result<Resource<Message>> {
        Ok(self.table.push(Message { data, ..Message::default() })?)
    }

    async fn topic(&mut self, message: Resource<Message>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&message)?.topic.clone())
    }

    async fn content_type(&mut self, message: Resource<Message>) -> wasmtime::Result<Option<String>> {
        Ok(self.table.get(&message)?.content_type.clone())
    }

    async fn set_content_type(&mut self, message: Resource<Message>, content_type: String) -> wasmtime::Result<()> {
        self.table.get_mut(&message)?.content_type = Some(content_type);
        Ok(())
    }

    async fn data(&mut self, message: Resource<Message>) -> wasmtime::Result<Vec<u8>> {
        Ok(self.table.get(&message)?.data.clone())
    }

    async fn set_data(&mut self, message: Resource<Message>, data: Vec<u8>) -> wasmtime::Result<()> {
        self.table.get_mut(&message)?.data = data;
        Ok(())
    }

    async fn metadata(&mut self, message: Resource<Message>) -> wasmtime::Result<Option<Vec<(String, String)>>> {
        let metadata = self.table.get(&message)?.metadata.clone();
        Ok(metadata.map(|metadata| metadata.into_iter().collect()))
    }

    async fn add_metadata(&mut self, message: Resource<Message>, key: String, value: String) -> wasmtime::Result<()> {
        self.table.get_mut(&message)?.metadata.get_or_insert_default().insert(key, value);
        Ok(())
    }

    async fn set_metadata(
        &mut self,
        message: Resource<Message>,
        metadata: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        self.table.get_mut(&message)?.metadata = Some(metadata.into_iter().collect());
        Ok(())
    }

    async fn remove_metadata(&mut self, message: Resource<Message>, key: String) -> wasmtime::Result<()> {
        if let Some(metadata) = &mut self.table.get_mut(&message)?.metadata {
            metadata.remove(&key);
        }
        Ok(())
    }

    async fn drop(&mut self, message: Resource<Message>) -> wasmtime::Result<()> {
        self.table.delete(message)?;
        Ok(())
    }
}

impl producer::Host for State {
    async fn send(
        &mut self,
        client: Resource<Client>,
        topic: String,
        message: Resource<Message>,
    ) -> wasmtime::Result<std::result::Result<(), Error>> {
        let message = self.table.delete(message)?;
        let event = Event {
            pubsub: self.table.get(&client)?.pubsub.clone(),
            topic,
            data: message.data.into(),
            content_type: message.content_type,
            metadata: message.metadata.unwrap_or_default(),
        };
        let link = self.link();
        Ok(link.sidecar.publish(&link.caller, event).await.map_err(|error| {
            link.note(&error);
            match error {
                CallError::OutOfTime(_) => Error::Timeout,
                CallError::Denied { .. } => Error::PermissionDenied(error.to_string()),
                CallError::NotFound(text) | CallError::Unavailable(text) => Error::Connection(text),
                CallError::Invalid(text) | CallError::Conflict(text) | CallError::Failed(text) => Error::Other(text),
            }
        }))
    }
}

/// Gives a message to a fresh guest.
pub(super) async fn handle(
    inner: &Arc<Inner>,
    pre: &MessagesPre<State>,
    caller: &Caller,
    message: function::Message,
) -> Result<Outcome> {
    let mut store = State::store(inner, caller)?;
    let _running = inner.engine.running();
    let called = within(inner.settings.limits, async {
        let guest = pre.instantiate_async(&mut store).await?;
        begin(&inner.engine, &mut store)?;
        let message = store.data_mut().table.push(unwrapped(message))?;
        guest.wasi_messaging_incoming_handler().call_handle(&mut store, message).await
    });
    let called = called.await;
    let Err(error) = store.data().end(called)? else { return Ok(Outcome::Success) };
    let (outcome, text) = match error {
        Error::PermissionDenied(text) => (Outcome::Drop, text),
        Error::Timeout => (Outcome::Retry, "a timeout".to_owned()),
        Error::Connection(text) | Error::Other(text) => (Outcome::Retry, text),
    };
    let text = crate::wasi::printable(text.as_bytes());
    inner.settings.log.write(Level::Warn, &format!("the guest {} did not take a message: {text}", inner.guest));
    Ok(outcome)
}

/// The payload of a CloudEvent, with its attributes as metadata: what a guest gets that was written for any broker.
fn unwrapped(message: function::Message) -> Message {
    let function::Message { pubsub, topic, path, envelope } = message;
    let Ok(Value::Object(mut attributes)) = serde_json::from_slice(&envelope) else {
        let content_type = Some(CLOUD_EVENT.to_owned());
        return Message { topic: Some(topic), content_type, data: envelope.into(), metadata: None };
    };
    let bytes = attributes.remove("data_base64");
    let bytes = bytes.and_then(|text| STANDARD.decode(text.as_str()?).ok());
    let data = match (bytes, attributes.remove("data")) {
        (Some(bytes), _) => bytes,
        (None, Some(Value::String(text))) => text.into_bytes(),
        (None, Some(data)) => data.to_string().into_bytes(),
        (None, None) => Vec::new(),
    };
    let content_type = attributes.remove("datacontenttype").and_then(|kind| kind.as_str().map(str::to_owned));
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let mut metadata: BTreeMap<String, String> =
        attributes.into_iter().map(|(name, value)| (name, text(value))).collect();
    metadata.insert("pubsubname".to_owned(), pubsub);
    metadata.insert("path".to_owned(), path);
    Message { topic: Some(topic), content_type, data, metadata: Some(metadata) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(envelope: &str) -> Message {
        unwrapped(function::Message {
            pubsub: "p".into(),
            topic: "t".into(),
            path: "/x".into(),
            envelope: envelope.to_owned().into(),
        })
    }

    #[test]
    fn a_cloud_event_becomes_payload_and_metadata() {
        let one = message(r#"{"id":"7","datacontenttype":"application/json","data":{"a":1},"n":3}"#);
        assert_eq!((one.data.as_slice(), one.content_type.as_deref()), (&br#"{"a":1}"#[..], Some("application/json")));
        let metadata = one.metadata.unwrap();
        let metadata: Vec<_> = metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(metadata, [("id", "7"), ("n", "3"), ("path", "/x"), ("pubsubname", "p")]);
        assert_eq!(message(r#"{"data":"text"}"#).data, b"text");
        assert_eq!(message(r#"{"data_base64":"AAE="}"#).data, [0, 1]);
        assert_eq!(message("raw").data, b"raw");
    }
}
