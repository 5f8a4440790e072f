//! HTTP/1.1: a pool of connections to one origin, each lent out for one exchange.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{Method, Request, Response, request};
use http_body::Body as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::slots::Slots;
use super::{ClientError, Io, Origin};
use crate::body::Body;

/// As Go's transport: connections at one time for each thread, unused ones that are kept, and for how long.
const MAX_CONNECTIONS: usize = 1024;
const MAX_IDLE: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// The most that a response's head may have.
const READ_BUFFER: usize = 64 * 1024;

/// The most that is read at once: some such portions of each response wait on their way to a slow reader.
const PORTION: usize = 16 * 1024;

/// Cheap to clone.
#[derive(Clone)]
pub struct Http1Pool {
    inner: Arc<Inner>,
}

struct Inner {
    origin: Origin,
    slots: Slots<Slot>,
}

struct Slot {
    /// The one used last is lent out first.
    idle: Vec<Idle>,
    permits: Arc<Semaphore>,
}

impl Default for Slot {
    fn default() -> Self {
        Self { idle: Vec::new(), permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

struct Connection {
    sender: SendRequest<Body>,
    _permit: OwnedSemaphorePermit,
}

/// Gives a connection back when the response's body is dropped.
struct Return {
    pool: Arc<Inner>,
    slot: usize,
    connection: Option<Connection>,
}

impl Http1Pool {
    pub fn new(origin: Origin) -> Self {
        Self { inner: Arc::new(Inner { origin, slots: Slots::new() }) }
    }

    pub fn origin(&self) -> &Origin {
        &self.inner.origin
    }

    /// Sends a request whose URI is path and query; adds `Host` when there is none. The response's body holds the
    /// connection.
    ///
    /// A connection that the other side has closed while it was idle is replaced in silence, when nothing of the request
    /// was written, or when it is one that may be repeated and has no body.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, ClientError> {
        if !request.headers().contains_key(HOST) {
            request.headers_mut().insert(HOST, self.inner.origin.authority().clone());
        }
        loop {
            let (mut connection, is_reused, slot) = self.checkout().await?;
            let again = if is_reused { repeatable(&request) } else { None };
            let error = match connection.sender.try_send_request(request).await {
                Ok(response) => {
                    let give_back = Return { pool: self.inner.clone(), slot, connection: Some(connection) };
                    return Ok(response.map(|body| Body::from(body).with_guard(give_back)));
                }
                Err(error) => error,
            };
            let mut error = error;
            let unwritten = error.take_message();
            let cause = error.error();
            request = match (unwritten, again) {
                (Some(request), _) if is_reused => request,
                (Some(_), _) => return Err(ClientError::from_hyper(cause).unwritten()),
                (None, Some(request)) if cause.is_incomplete_message() || cause.is_closed() => request,
                (None, _) => return Err(ClientError::from_hyper(cause)),
            };
        }
    }

    /// A connection ready for a request, whether it has been used before, and the slot it belongs to.
    async fn checkout(&self) -> Result<(Connection, bool, usize), ClientError> {
        let inner = &self.inner;
        let slot = inner.slots.here();
        while let Some(mut connection) = inner.take_idle(slot) {
            if !connection.sender.is_ready() && connection.sender.ready().await.is_err() {
                continue;
            }
            return Ok((connection, true, slot));
        }
        let permits = inner.slots.lock(slot).permits.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => permits.acquire_owned().await.map_err(|_| ClientError::dial("the connection pool is closed"))?,
        };
        let io = inner.origin.connect().await?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake::<_, Body>(TokioIo::new(Portions(io)))
            .await
            .map_err(|error| ClientError::from_hyper(&error).unwritten())?;
        tokio::spawn(connection);
        Ok((Connection { sender, _permit: permit }, false, slot))
    }
}

/// A connection that is read in portions.
struct Portions(Io);

impl AsyncRead for Portions {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() <= PORTION {
            return Pin::new(&mut self.0).poll_read(context, buffer);
        }
        let mut portion = ReadBuf::new(buffer.initialize_unfilled_to(PORTION));
        ready!(Pin::new(&mut self.0).poll_read(context, &mut portion))?;
        let length = portion.filled().len();
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Portions {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

impl Inner {
    fn take_idle(&self, slot: usize) -> Option<Connection> {
        let mut slot = self.slots.lock(slot);
        while let Some(idle) = slot.idle.pop() {
            if !idle.connection.sender.is_closed() && idle.since.elapsed() < IDLE_TIMEOUT {
                return Some(idle.connection);
            }
        }
        None
    }
}

impl Drop for Return {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if connection.sender.is_closed() {
            return;
        }
        let now = Instant::now();
        let mut slot = self.pool.slots.lock(self.slot);
        // The oldest are in front. What has been idle for long goes, and what is one too many.
        let stale = slot.idle.iter().take_while(|idle| now - idle.since >= IDLE_TIMEOUT).count();
        let surplus = (slot.idle.len() + 1).saturating_sub(MAX_IDLE);
        slot.idle.drain(..stale.max(surplus));
        slot.idle.push(Idle { connection, since: now });
    }
}

/// A copy of a request that may be sent twice: it changes nothing and has no body.
fn repeatable(request: &Request<Body>) -> Option<Request<Body>> {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    if !is_safe || !request.body().is_end_stream() {
        return None;
    }
    let (mut parts, body): (request::Parts, Body) = Request::new(Body::empty()).into_parts();
    parts.method = request.method().clone();
    parts.uri = request.uri().clone();
    parts.headers = request.headers().clone();
    Some(Request::from_parts(parts, body))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::body;

    /// Answers `answers` requests on each connection, then closes it.
    async fn server(answers: usize) -> Http1Pool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = Origin::from_address(&listener.local_addr().unwrap().to_string(), None).unwrap();
        tokio::spawn(async move {
            for connection in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let mut buffer = [0; 1024];
                    for _ in 0..answers {
                        if stream.read(&mut buffer).await.unwrap() == 0 {
                            return;
                        }
                        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{connection}");
                        stream.write_all(answer.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Http1Pool::new(origin)
    }

    async fn get(pool: &Http1Pool) -> String {
        let response = pool.send(Request::get("/x").body(Body::empty()).unwrap()).await.unwrap();
        String::from_utf8(body::collect(response.into_body(), 0).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_connection_is_used_again() {
        let pool = server(10).await;
        assert_eq!(get(&pool).await, "0");
        assert_eq!(get(&pool).await, "0");
    }

    #[tokio::test]
    async fn a_connection_closed_while_idle_is_replaced() {
        let pool = server(1).await;
        assert_eq!(get(&pool).await, "0");
        assert_eq!(get(&pool).await, "1");
        assert_eq!(get(&pool).await, "2");
    }

    #[tokio::test]
    async fn a_connection_in_use_is_not_shared() {
        let pool = server(10).await;
        let held = pool.send(Request::get("/x").body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(get(&pool).await, "1");
        drop(held);
    }
}
