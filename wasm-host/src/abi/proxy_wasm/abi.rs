//! What belongs to one guest, and the frame of every host function.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use wasmtime::{Caller, TypedFunc};

use super::host::{self, GrpcEvent, HttpReply};
use super::settings::ProxySettings;
use super::status::Status;
use super::stream::{Stream, Window};
use crate::error::Error;
use crate::memory;
use crate::store::State;

pub(super) type Host<'a> = Caller<'a, State<Abi>>;

/// The root context of each guest, as in Layotto.
pub(super) const ROOT: u32 = 1;

/// What a host function comes to.
pub(super) enum Fail {
    Status(Status),
    Trap(wasmtime::Error),
}

impl From<Status> for Fail {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

pub(super) type Out = Result<(), Fail>;

/// Something came back from outside.
pub(super) enum Event {
    Http { call: u32, reply: Option<HttpReply> },
    Grpc { call: u32, event: GrpcEvent },
}

/// A call under way.
pub(super) enum Call {
    Http,
    /// One message was sent with the call.
    Unary,
    /// `None` once the guest has closed its side.
    Stream(Option<mpsc::Sender<Bytes>>),
}

/// A guest's side of the ABI.
pub(super) struct Abi {
    pub settings: Arc<ProxySettings>,
    pub caller: Arc<host::Caller>,
    /// Only the log may be used: the guest starts, or it is asked for memory.
    pub is_restricted: bool,
    pub allocate: Option<TypedFunc<u32, u32>>,
    /// The context that host functions act on.
    pub context: u32,
    pub stream: Option<Stream>,
    pub window: Window,
    /// A context that answered `false` to `proxy_on_done` and was not finished yet.
    pub unfinished: Option<u32>,
    /// Milliseconds between ticks; 0: none.
    pub tick: u32,
    pub queues: Vec<u32>,
    pub queue_notify: Arc<Notify>,
    pub next_call: u32,
    pub calls: HashMap<u32, Call>,
    pub events: mpsc::Sender<Event>,
    /// The work of the calls. Ends with the guest, or with its stream.
    pub tasks: JoinSet<()>,
    /// What ends the work of one call.
    pub handles: HashMap<u32, AbortHandle>,
}

impl Abi {
    pub fn new(settings: Arc<ProxySettings>, guest: &str, events: mpsc::Sender<Event>) -> Self {
        let (guest, plugin) = (guest.to_owned(), settings.plugin.clone());
        let caller = Arc::new(host::Caller { guest, plugin, depth: 0, trace: None });
        Self {
            settings,
            caller,
            is_restricted: true,
            allocate: None,
            context: ROOT,
            stream: None,
            window: Window::None,
            unfinished: None,
            tick: 0,
            queues: Vec::new(),
            queue_notify: Arc::default(),
            next_call: 1,
            calls: HashMap::new(),
            events,
            tasks: JoinSet::new(),
            handles: HashMap::new(),
        }
    }

    /// The stream, when the present context is it.
    pub fn stream(&mut self) -> Result<&mut Stream, Fail> {
        let context = self.context;
        self.stream.as_mut().filter(|stream| stream.id == context).ok_or(Fail::Status(Status::NotFound))
    }

    /// Does the work of a call beside the guest.
    pub fn spawn(&mut self, call: u32, work: impl Future<Output = ()> + Send + 'static) {
        // A set keeps what has ended until it is asked for it.
        while self.tasks.try_join_next().is_some() {}
        self.handles.insert(call, self.tasks.spawn(work));
    }

    /// A call has ended, or the guest wants no more of it.
    pub fn end_call(&mut self, call: u32) -> Option<Call> {
        if let Some(handle) = self.handles.remove(&call) {
            handle.abort();
        }
        self.calls.remove(&call)
    }

    /// All calls end.
    pub fn end_calls(&mut self) {
        self.calls.clear();
        self.handles.clear();
        self.tasks = JoinSet::new();
    }

    /// A number for a new call; guests take 0 for none.
    pub fn new_call(&mut self, call: Call) -> u32 {
        let id = self.next_call;
        self.next_call = self.next_call.checked_add(1).unwrap_or(1);
        self.calls.insert(id, call);
        id
    }
}

/// Whether a function may be called while the guest starts or allocates.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    Always,
    Later,
}

pub(super) fn check(caller: &Host<'_>, name: &str, allowed: Allowed) -> wasmtime::Result<()> {
    if caller.data().abi.is_restricted && allowed == Allowed::Later {
        let text = format!("{name} was called while the guest starts or allocates memory, when it may only log");
        return Err(Error::misuse(text).into());
    }
    Ok(())
}

/// The number that the guest gets.
pub(super) fn status(name: &str, caller: &Host<'_>, out: Out) -> wasmtime::Result<i32> {
    match out {
        Ok(()) => Ok(Status::Ok as i32),
        Err(Fail::Trap(error)) => Err(error),
        Err(Fail::Status(status)) => {
            tracing::debug!(target: crate::log::SCOPE, "{}: {name} answered {status:?}", caller.data().guest);
            Ok(status as i32)
        }
    }
}

/// Runs a host function that gives nothing back through the guest's allocator.
pub(super) fn now(
    mut caller: Host<'_>,
    name: &'static str,
    allowed: Allowed,
    work: impl FnOnce(&mut Host<'_>) -> Out,
) -> wasmtime::Result<i32> {
    check(&caller, name, allowed)?;
    let out = work(&mut caller);
    status(name, &caller, out)
}

/// Runs a host function that gives bytes back.
pub(super) async fn giving(
    mut caller: Host<'_>,
    name: &'static str,
    place: u32,
    length: u32,
    work: impl FnOnce(&mut Host<'_>) -> Result<Vec<u8>, Fail> + Send,
) -> wasmtime::Result<i32> {
    check(&caller, name, Allowed::Later)?;
    let bytes = work(&mut caller);
    given(caller, name, place, length, bytes).await
}

/// The end of a host function that gives bytes back, for those that have waited for them.
pub(super) async fn given(
    mut caller: Host<'_>,
    name: &'static str,
    place: u32,
    length: u32,
    bytes: Result<Vec<u8>, Fail>,
) -> wasmtime::Result<i32> {
    let out = match bytes {
        Ok(bytes) => give(&mut caller, bytes, place, length).await,
        Err(fail) => Err(fail),
    };
    status(name, &caller, out)
}

/// Puts bytes into memory that the guest provides; they are then its own.
async fn give(caller: &mut Host<'_>, bytes: Vec<u8>, place: u32, length: u32) -> Out {
    let size = u32::try_from(bytes.len()).map_err(|_| Status::InternalFailure)?;
    // Both results have a place before the guest gives memory that nobody would free.
    put_word(caller, place, 0)?;
    put_word(caller, length, 0)?;
    if size == 0 {
        return Ok(());
    }
    let allocate = caller.data().abi.allocate.clone();
    let allocate = allocate.ok_or_else(|| Fail::Trap(Error::misuse("the guest exports no allocator").into()))?;
    caller.data_mut().abi.is_restricted = true;
    let memory = allocate.call_async(&mut *caller, size).await.map_err(Fail::Trap)?;
    caller.data_mut().abi.is_restricted = false;
    if memory == 0 {
        return Err(Status::InvalidMemoryAccess.into());
    }
    put(caller, memory, &bytes)?;
    put_word(caller, place, memory)?;
    put_word(caller, length, size)
}

/// Bytes that the guest points to.
pub(super) fn get(caller: &mut Host<'_>, pointer: u32, length: u32) -> Result<Vec<u8>, Fail> {
    memory::read(caller, pointer, length).map_err(|_| Status::InvalidMemoryAccess.into())
}

/// Text that the guest points to.
pub(super) fn get_text(caller: &mut Host<'_>, pointer: u32, length: u32) -> Result<String, Fail> {
    String::from_utf8(get(caller, pointer, length)?).map_err(|_| Status::BadArgument.into())
}

/// A list that the guest points to.
pub(super) fn get_pairs(caller: &mut Host<'_>, pointer: u32, length: u32) -> Result<super::map::Pairs, Fail> {
    super::map::decode(&get(caller, pointer, length)?).ok_or(Status::BadArgument.into())
}

pub(super) fn put(caller: &mut Host<'_>, pointer: u32, bytes: &[u8]) -> Out {
    memory::write(caller, pointer, bytes).map_err(|_| Status::InvalidMemoryAccess.into())
}

pub(super) fn put_word(caller: &mut Host<'_>, pointer: u32, word: u32) -> Out {
    put(caller, pointer, &word.to_le_bytes())
}
