//! A bound on calls of a function whose kind has no pool of guests of its own.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasm_host::body::{Body, BodyError};
use wasm_host::function::{Function, Message, Outcome};
use wasm_host::sidecar::Caller;
use wasm_host::{Error, Result};

use crate::config::function::Function as Manifest;

/// A function of which only so many calls run at once, none of them for longer than it may.
pub struct Bounded<F> {
    function: F,
    slots: Arc<Semaphore>,
    most: usize,
    wait: Duration,
    timeout: Duration,
}

impl<F: Function> Bounded<F> {
    pub fn new(function: F, manifest: &Manifest) -> Self {
        let most = manifest.instances.max.clamp(1, Semaphore::MAX_PERMITS);
        let slots = Arc::new(Semaphore::new(most));
        Self { function, slots, most, wait: manifest.instances.wait, timeout: manifest.limits.timeout }
    }

    async fn slot(&self, caller: &Caller) -> Result<OwnedSemaphorePermit> {
        let slot = tokio::time::timeout(self.wait, self.slots.clone().acquire_owned()).await;
        slot.ok().and_then(|slot| slot.ok()).ok_or_else(|| {
            let (function, most, wait) = (&caller.function, self.most, self.wait);
            Error::Busy(format!(
                "all {most} guests of {function} were at work for {wait:?}: raise instances.max if there should be more"
            ))
        })
    }

    async fn within<T>(&self, caller: &Caller, call: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::OutOfTime { guest: caller.function.to_string(), limit: self.timeout }),
        }
    }
}

#[async_trait]
impl<F: Function> Function for Bounded<F> {
    /// The time is that until the answer begins; what follows of it keeps its place among the guests.
    async fn handle_http(&self, caller: &Caller, request: Request<Body>) -> Result<Response<Body>> {
        let slot = self.slot(caller).await?;
        let response = self.within(caller, self.function.handle_http(caller, request)).await?;
        Ok(response.map(|body| match body {
            Body::Stream(_) => Body::stream(Held { body, _slot: slot }),
            kept => kept,
        }))
    }

    async fn handle_event(&self, caller: &Caller, message: Message) -> Result<Outcome> {
        let _slot = self.slot(caller).await?;
        self.within(caller, self.function.handle_event(caller, message)).await
    }

    async fn id(&self) -> Result<Option<String>> {
        self.function.id().await
    }

    async fn run(&self) -> Result<()> {
        self.function.run().await
    }

    fn guests(&self) -> usize {
        self.function.guests()
    }
}

/// A body whose guest is still at work.
struct Held {
    body: Body,
    _slot: OwnedSemaphorePermit,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<std::result::Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
