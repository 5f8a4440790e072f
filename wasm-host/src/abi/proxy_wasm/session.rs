//! One HTTP stream through a guest.

use std::sync::Arc;

use super::abi::{Abi, ROOT};
use super::events::deliver;
use super::instance::Instance;
use super::map::Pairs;
use super::status::{Action, Direction, Version};
use super::stream::{LocalResponse, Stream, Window};
use crate::error::{Error, Result};
use crate::pool::Taken;
use crate::sidecar::Caller;

/// A stream with the guest that sees it. After an error, or when it is dropped without [`Session::close`], the guest is
/// thrown away.
pub struct Session {
    taken: Taken<Instance>,
    id: u32,
}

impl Session {
    pub(super) async fn open(mut taken: Taken<Instance>, id: u32, caller: Option<&Caller>) -> Result<Self> {
        let instance = taken.get()?;
        let own = Arc::make_mut(&mut instance.abi().caller);
        own.depth = caller.map_or(0, |caller| caller.depth);
        own.trace = caller.and_then(|caller| caller.trace.clone());
        instance.abi().stream = Some(Stream { id, ..Stream::default() });
        instance.call_in::<_, ()>(id, "proxy_on_context_create", (id, ROOT)).await?;
        Ok(Self { taken, id })
    }

    /// The headers of a direction, with their pseudo headers (`:method`, `:path`, `:authority`, `:scheme`; `:status`).
    pub async fn headers(&mut self, direction: Direction, headers: Pairs, is_end: bool) -> Result<Action> {
        let (id, instance) = (self.id, self.taken.get()?);
        let count = count(headers.len());
        let stream = stream(instance.abi())?;
        stream.message(direction).headers = headers;
        let name = match direction {
            Direction::Request => "proxy_on_request_headers",
            Direction::Response => "proxy_on_response_headers",
        };
        let action = if instance.version == Version::V0_1_0 {
            instance.call_in::<_, u32>(id, name, (id, count)).await?
        } else {
            instance.call_in::<_, u32>(id, name, (id, count, u32::from(is_end))).await?
        };
        self.after(direction, action).await
    }

    /// More of a direction's body. What the guest has held back so far stays before it.
    pub async fn body(&mut self, direction: Direction, data: &[u8], is_end: bool) -> Result<Action> {
        let (id, instance) = (self.id, self.taken.get()?);
        let limit = instance.abi().settings.body_limit;
        let body = &mut stream(instance.abi())?.message(direction).body;
        if body.len() + data.len() > limit {
            return Err(Error::Trap {
                guest: instance.guest.state().guest.to_string(),
                reason: format!("it holds a body of more than {limit} bytes back"),
                backtrace: Vec::new(),
            });
        }
        body.extend_from_slice(data);
        let size = count(body.len());
        let name = match direction {
            Direction::Request => "proxy_on_request_body",
            Direction::Response => "proxy_on_response_body",
        };
        let action = instance.call_in::<_, u32>(id, name, (id, size, u32::from(is_end))).await?;
        self.after(direction, action).await
    }

    /// The trailers of a direction.
    pub async fn trailers(&mut self, direction: Direction, trailers: Pairs) -> Result<Action> {
        let (id, instance) = (self.id, self.taken.get()?);
        let count = count(trailers.len());
        stream(instance.abi())?.message(direction).trailers = trailers;
        let name = match direction {
            Direction::Request => "proxy_on_request_trailers",
            Direction::Response => "proxy_on_response_trailers",
        };
        let action = instance.call_in::<_, u32>(id, name, (id, count)).await?;
        self.after(direction, action).await
    }

    /// Waits, after a pause, until the guest lets the direction go on, answers itself, or closes the stream. Meanwhile
    /// it hears of its own calls.
    ///
    /// # Errors
    /// The guest fails, or it waits for nothing that could come ([`Error::Paused`]; the stream can still be closed).
    pub async fn resumed(&mut self, direction: Direction) -> Result<()> {
        loop {
            let instance = self.taken.get()?;
            let stream = stream(instance.abi())?;
            let is_resumed = std::mem::take(&mut stream.message(direction).is_resumed);
            if is_resumed || stream.local.is_some() || stream.is_closed {
                return Ok(());
            }
            if instance.abi().calls.is_empty() && instance.events.is_empty() {
                return Err(Error::Paused { guest: instance.guest.state().guest.to_string() });
            }
            // The guest's own sender is never gone while it lives.
            let Some(event) = instance.events.recv().await else { return Ok(()) };
            deliver(instance, event).await?;
        }
    }

    /// Response headers have gone out: the guest cannot answer itself any more.
    pub fn answered(&mut self) -> Result<()> {
        stream(self.taken.get()?.abi())?.has_answered = true;
        Ok(())
    }

    /// What the guest answers in place of what stands behind it; then it sees no more of the request.
    pub fn local_response(&mut self) -> Result<Option<LocalResponse>> {
        Ok(stream(self.taken.get()?.abi())?.local.take())
    }

    /// Whether the guest has ended the stream.
    pub fn is_closed(&mut self) -> Result<bool> {
        Ok(stream(self.taken.get()?.abi())?.is_closed)
    }

    /// A direction's headers as the guest left them.
    pub fn headers_of(&mut self, direction: Direction) -> Result<Pairs> {
        Ok(stream(self.taken.get()?.abi())?.message(direction).headers.clone())
    }

    /// A direction's body as the guest left it; what is taken is no longer the guest's.
    pub fn take_body(&mut self, direction: Direction) -> Result<Vec<u8>> {
        Ok(std::mem::take(&mut stream(self.taken.get()?.abi())?.message(direction).body))
    }

    /// A direction's trailers as the guest left them.
    pub fn trailers_of(&mut self, direction: Direction) -> Result<Pairs> {
        Ok(stream(self.taken.get()?.abi())?.message(direction).trailers.clone())
    }

    /// A foreign function of the guest (`proxy_on_foreign_function`) is called; gives what the guest left as data.
    pub async fn foreign(&mut self, function: u32, data: Vec<u8>) -> Result<Vec<u8>> {
        let (id, instance) = (self.id, self.taken.get()?);
        let size = count(data.len());
        instance.abi().window = Window::Data(data);
        instance.call_in::<_, ()>(id, "proxy_on_foreign_function", (id, function, size)).await?;
        match std::mem::take(&mut instance.abi().window) {
            Window::Data(data) => Ok(data),
            _ => Ok(Vec::new()),
        }
    }

    /// The stream ends: the guest hears of it and is free for the next one. A guest that is not done yet may wait for
    /// its own calls; how long is the caller's to say.
    pub async fn close(mut self) -> Result<()> {
        let (id, instance) = (self.id, self.taken.get()?);
        let is_done = instance.call_in::<_, u32>(id, "proxy_on_done", (id,)).await?;
        if is_done == Some(0) {
            instance.abi().unfinished = Some(id);
            // It finishes when its calls have come back, or never.
            while instance.abi().unfinished.is_some() && !instance.abi().calls.is_empty() {
                let Some(event) = instance.events.recv().await else { break };
                deliver(instance, event).await?;
            }
        }
        instance.call_in::<_, ()>(id, "proxy_on_log", (id,)).await?;
        instance.call_in::<_, ()>(id, "proxy_on_delete", (id,)).await?;
        let abi = instance.abi();
        abi.unfinished = None;
        abi.stream = None;
        abi.context = ROOT;
        abi.end_calls();
        while instance.events.try_recv().is_ok() {}
        instance.calls = instance.calls.saturating_add(1);
        if !instance.is_worn() {
            self.taken.give_back();
        }
        Ok(())
    }

    /// What an action means when the guest has answered, closed or resumed meanwhile.
    async fn after(&mut self, direction: Direction, action: Option<u32>) -> Result<Action> {
        let instance = self.taken.get()?;
        // What came back already is told first: it may resume what was just paused.
        while let Ok(event) = instance.events.try_recv() {
            deliver(instance, event).await?;
        }
        let message = stream(instance.abi())?.message(direction);
        if message.is_resumed {
            message.is_resumed = false;
            return Ok(Action::Continue);
        }
        Ok(action.map_or(Action::Continue, Action::of))
    }
}

fn stream(abi: &mut Abi) -> Result<&mut Stream> {
    abi.stream.as_mut().ok_or_else(|| Error::misuse("the stream has ended"))
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
