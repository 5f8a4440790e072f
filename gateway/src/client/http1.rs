//! HTTP/1.1: a pool of connections to one origin, each lent out for one exchange.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::HOST;
use http::{Method, Request, Response, request};
use http_body::Body as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::http1_connection::{Connection, Download, GiveBack};
use super::slots::Slots;
use super::{ClientError, Origin};
use crate::body::Body;

/// As Go's transport: connections at one time for each thread, unused ones that are kept, and for how long.
const MAX_CONNECTIONS: usize = 1024;
const MAX_IDLE: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

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
    lent: Lent,
    since: Instant,
}

/// A connection, and its place among those that may be open.
struct Lent {
    connection: Connection,
    _permit: OwnedSemaphorePermit,
}

/// Where a connection goes when the response's body has ended.
struct Return {
    pool: Arc<Inner>,
    slot: usize,
    permit: OwnedSemaphorePermit,
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
            let (Lent { mut connection, _permit: permit }, is_reused, slot) = self.checkout().await?;
            let again = if is_reused { repeatable(&request) } else { None };
            let mut error = match connection.send(request).await {
                Ok(response) => {
                    let give_back = Return { pool: self.inner.clone(), slot, permit };
                    return Ok(response.map(|body| Body::stream(Download::new(body, connection, give_back))));
                }
                Err(error) => error,
            };
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
    async fn checkout(&self) -> Result<(Lent, bool, usize), ClientError> {
        let inner = &self.inner;
        let slot = inner.slots.here();
        if let Some(lent) = inner.take_idle(slot) {
            return Ok((lent, true, slot));
        }
        let permits = inner.slots.lock(slot).permits.clone();
        let permit = match permits.clone().try_acquire_owned() {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => permits.acquire_owned().await.map_err(|_| ClientError::dial("the connection pool is closed"))?,
        };
        let connection = Connection::open(inner.origin.connect().await?).await?;
        Ok((Lent { connection, _permit: permit }, false, slot))
    }
}

impl Inner {
    fn take_idle(&self, slot: usize) -> Option<Lent> {
        let mut slot = self.slots.lock(slot);
        while let Some(mut idle) = slot.idle.pop() {
            if idle.since.elapsed() < IDLE_TIMEOUT && idle.lent.connection.is_usable() {
                return Some(idle.lent);
            }
        }
        None
    }
}

impl GiveBack for Return {
    fn give_back(self, connection: Connection) {
        let Self { pool, slot, permit } = self;
        let now = Instant::now();
        let mut slot = pool.slots.lock(slot);
        // The oldest are in front. What has been idle for long goes, what is one too many, and what the other side has
        // closed: nobody else looks at a connection that lies idle.
        let stale = slot.idle.iter().take_while(|idle| now - idle.since >= IDLE_TIMEOUT).count();
        let surplus = (slot.idle.len() + 1).saturating_sub(MAX_IDLE);
        slot.idle.drain(..stale.max(surplus));
        if slot.idle.first_mut().is_some_and(|oldest| !oldest.lent.connection.is_usable()) {
            slot.idle.remove(0);
        }
        slot.idle.push(Idle { lent: Lent { connection, _permit: permit }, since: now });
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
