//! HTTP/2: connections to one origin, shared by streams. Plain connections begin with HTTP/2 at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::header::CONTENT_LENGTH;
use http::{Request, Response, request};
use http_body::Body as _;

use super::connect::Io;
use super::http2_stream::{Download, Upload};
use super::slots::Slots;
use super::{ClientError, Origin};
use crate::body::Body;
use crate::coalesce::Gathered;
use crate::merged::Merged;

/// Streams on one connection before the next one is opened, as daprd 1.18.
const MAX_STREAMS: usize = 100;
/// An unused connection is closed after this time, as daprd 1.18.
const IDLE_TIMEOUT: Duration = Duration::from_secs(180);
/// What may be under way on one stream, and on a connection: all its streams may stand still with a full window, and
/// another one still moves.
///
/// A window is what a response may hold here for a reader that stands still, beside what waits in front of its socket:
/// with 256 slow readers 32 MiB must do.
const STREAM_WINDOW: u32 = 32 * 1024;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * (MAX_STREAMS as u32 + 8);

/// Pings on a connection, to notice a dead peer.
#[derive(Debug, Clone, Copy)]
pub struct Keepalive {
    pub interval: Duration,
    pub timeout: Duration,
}

impl Keepalive {
    /// What sidecars do among each other (as daprd 1.18).
    pub const PEERS: Self = Self { interval: Duration::from_secs(10), timeout: Duration::from_secs(5) };
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Http2Pool {
    inner: Arc<Inner>,
}

struct Inner {
    origin: Origin,
    keepalive: Option<Keepalive>,
    slots: Slots<Slot>,
}

#[derive(Default)]
struct Slot {
    connections: Vec<Connection>,
    /// Held while a connection is set up: those who need one wait for it in place of opening one each.
    connecting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone)]
struct Connection {
    sender: SendRequest<Bytes>,
    shared: Arc<Shared>,
}

/// What a connection's users and its driver know of it.
struct Shared {
    streams: AtomicUsize,
    is_closed: AtomicBool,
    /// Milliseconds after `opened` at which the last stream ended.
    idle_since: AtomicUsize,
    opened: Instant,
    /// What users have learned about the other side.
    learned: AtomicUsize,
}

/// A connection with room for one more stream, which is counted until this is dropped.
pub struct Lease {
    connection: Connection,
    /// No request has been sent over it before.
    pub is_new: bool,
}

impl Http2Pool {
    pub fn new(origin: Origin, keepalive: Option<Keepalive>) -> Self {
        Self { inner: Arc::new(Inner { origin, keepalive, slots: Slots::new() }) }
    }

    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        self.inner.slots.all().any(|slot| !slot.connections.is_empty())
    }

    /// Sends a request; scheme and authority are added. The response's body counts as a stream until it is dropped.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, ClientError> {
        let lease = self.lease().await?;
        let (parts, body) = request.into_parts();
        self.send_over(lease, parts, body).await
    }

    /// A connection with room for one more stream.
    pub async fn lease(&self) -> Result<Lease, ClientError> {
        let slot = self.inner.slots.here();
        if let Some(lease) = self.inner.find(slot) {
            return Ok(lease);
        }
        let connecting = self.inner.slots.lock(slot).connecting.clone();
        let _only = connecting.lock().await;
        if let Some(lease) = self.inner.find(slot) {
            return Ok(lease);
        }
        let io = self.inner.origin.connect().await?;
        self.open(io, slot).await
    }

    async fn open(&self, io: Io, slot: usize) -> Result<Lease, ClientError> {
        let io = Gathered::new(io);
        let (sender, driver) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(64 * 1024)
            .max_send_buffer_size(128 * 1024)
            .enable_push(false)
            .handshake::<_, Bytes>(io.clone())
            .await
            .map_err(|error| ClientError::from_h2(&error).unwritten())?;
        let shared = Arc::new(Shared {
            streams: AtomicUsize::new(1),
            is_closed: AtomicBool::new(false),
            idle_since: AtomicUsize::new(0),
            opened: Instant::now(),
            learned: AtomicUsize::new(0),
        });
        let connection = Connection { sender, shared: shared.clone() };
        self.inner.slots.lock(slot).connections.push(connection.clone());
        tokio::spawn(drive(driver, io, shared, self.inner.keepalive, Arc::downgrade(&self.inner), slot));
        Ok(Lease { connection, is_new: true })
    }

    /// Sends a request over a connection that was leased. Nothing of `body` is taken before there is a stream for it.
    pub async fn send_over(
        &self,
        mut lease: Lease,
        mut parts: request::Parts,
        body: Body,
    ) -> Result<Response<Body>, ClientError> {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.scheme = Some(self.inner.origin.scheme());
        uri.authority = self.inner.origin.authority().as_bytes().try_into().ok();
        parts.uri = uri.try_into().map_err(|error| ClientError::request(format!("invalid request target: {error}")))?;
        parts.version = http::Version::HTTP_2;
        // The length is what the body says, or nothing.
        parts.headers.remove(CONTENT_LENGTH);
        let is_empty = body.is_end_stream();
        if let Some(length) = body.size_hint().exact().filter(|_| !is_empty) {
            parts.headers.insert(CONTENT_LENGTH, length.into());
        }
        let sender = &mut lease.connection.sender;
        let ready = poll_fn(|context| sender.poll_ready(context)).await;
        let sent = match ready {
            Ok(()) => sender.send_request(Request::from_parts(parts, ()), is_empty),
            Err(error) => Err(error),
        };
        let (mut response, stream) = sent.map_err(|error| {
            lease.connection.shared.is_closed.store(true, Ordering::Relaxed);
            ClientError::from_h2(&error).unwritten()
        })?;
        let mut upload = (!is_empty).then(|| Upload::new(stream, body));
        let response = poll_fn(|context| {
            if let Some(running) = &mut upload {
                match Pin::new(running).poll(context) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(())) => upload = None,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                }
            }
            Pin::new(&mut response).poll(context).map_err(|error| ClientError::from_h2(&error))
        })
        .await?;
        // A body that goes on beside the response needs somebody who polls it, whoever reads the response or not.
        let upload = upload.map(|upload| tokio::spawn(upload).abort_handle());
        let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        Ok(response.map(|body| Body::stream(Merged::new(Download::new(body, length, upload, lease)))))
    }
}

impl Inner {
    fn find(&self, slot: usize) -> Option<Lease> {
        let mut slot = self.slots.lock(slot);
        slot.connections.retain(|connection| !connection.shared.is_closed.load(Ordering::Relaxed));
        let connection = slot.connections.iter().find(|connection| {
            // The lock is held: nobody else adds a stream meanwhile.
            connection.shared.streams.load(Ordering::Relaxed) < MAX_STREAMS
        })?;
        connection.shared.streams.fetch_add(1, Ordering::Relaxed);
        Some(Lease { connection: connection.clone(), is_new: false })
    }

    /// Takes an unused connection out, so that it ends.
    fn retire_if_idle(&self, slot: usize, shared: &Arc<Shared>) {
        let mut slot = self.slots.lock(slot);
        if shared.streams.load(Ordering::Relaxed) == 0 && shared.idle_for() >= IDLE_TIMEOUT {
            slot.connections.retain(|connection| !Arc::ptr_eq(&connection.shared, shared));
        }
    }
}

impl Shared {
    fn idle_for(&self) -> Duration {
        let since = Duration::from_millis(self.idle_since.load(Ordering::Relaxed) as u64);
        self.opened.elapsed().saturating_sub(since)
    }
}

impl Lease {
    /// A number that a user has left at this connection, 0 at first.
    pub fn learned(&self) -> usize {
        self.connection.shared.learned.load(Ordering::Relaxed)
    }

    /// Leaves a number for later users of this connection: connections end with the process behind them, so what is
    /// learned from an answer holds as long.
    pub fn learn(&self, number: usize) {
        self.connection.shared.learned.store(number, Ordering::Relaxed);
    }

    /// Another stream over the same connection.
    pub fn again(&self) -> Self {
        self.connection.shared.streams.fetch_add(1, Ordering::Relaxed);
        Self { connection: self.connection.clone(), is_new: false }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let shared = &self.connection.shared;
        if shared.streams.fetch_sub(1, Ordering::Relaxed) == 1 {
            let now = usize::try_from(shared.opened.elapsed().as_millis()).unwrap_or(usize::MAX);
            shared.idle_since.store(now, Ordering::Relaxed);
        }
    }
}

/// Moves the connection's frames until it ends.
async fn drive(
    mut driver: h2::client::Connection<Gathered<Io>, Bytes>,
    io: Gathered<Io>,
    shared: Arc<Shared>,
    keepalive: Option<Keepalive>,
    pool: Weak<Inner>,
    slot: usize,
) {
    let mut pings = driver.ping_pong();
    let watch = async {
        let interval = keepalive.map_or(IDLE_TIMEOUT / 4, |keepalive| keepalive.interval);
        loop {
            tokio::time::sleep(interval).await;
            if let Some(pool) = pool.upgrade() {
                pool.retire_if_idle(slot, &shared);
            }
            let (Some(keepalive), Some(pings)) = (keepalive, &mut pings) else { continue };
            let pong = tokio::time::timeout(keepalive.timeout, pings.ping(h2::Ping::opaque()));
            if !matches!(pong.await, Ok(Ok(_))) {
                return;
            }
        }
    };
    let moving = poll_fn(|context| {
        let outcome = Pin::new(&mut driver).poll(context);
        io.poll_write_out(context);
        outcome
    });
    tokio::select! {
        biased;
        _ = moving => {}
        () = watch => {}
    }
    shared.is_closed.store(true, Ordering::Relaxed);
    if let Some(pool) = pool.upgrade() {
        pool.slots.lock(slot).connections.retain(|connection| !Arc::ptr_eq(&connection.shared, &shared));
    }
}
