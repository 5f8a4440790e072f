//! `ottavo:runtime/event-handler`: a message with an explicit outcome.

use std::sync::Arc;

use super::Inner;
use super::bindings::events::EventsPre;
use super::bindings::events::exports::ottavo::runtime::event_handler;
use super::state::State;
use crate::error::Result;
use crate::function::{Message, Outcome};
use crate::sidecar::Caller;
use crate::store::{begin, within};

/// Gives a message to a fresh guest.
pub(super) async fn handle(
    inner: &Arc<Inner>,
    pre: &EventsPre<State>,
    caller: &Caller,
    message: Message,
) -> Result<Outcome> {
    let mut store = State::store(inner, caller)?;
    let event = event_handler::Event {
        pubsub: message.pubsub,
        topic: message.topic,
        path: message.path,
        envelope: message.envelope.into(),
    };
    let _running = inner.engine.running();
    let called = within(inner.settings.limits, async {
        let guest = pre.instantiate_async(&mut store).await?;
        begin(&inner.engine, &mut store)?;
        guest.ottavo_runtime_event_handler().call_handle(&mut store, &event).await
    });
    let called = called.await;
    Ok(match store.data().end(called)? {
        event_handler::Outcome::Success => Outcome::Success,
        event_handler::Outcome::Retry => Outcome::Retry,
        event_handler::Outcome::Drop => Outcome::Drop,
    })
}
