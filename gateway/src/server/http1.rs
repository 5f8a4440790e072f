//! A connection with HTTP/1.1, which is taken apart while it is idle: what is left is the socket and a small task.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::UPGRADE;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::connection::{Http, ServeConnection};
use super::prefixed::Prefixed;
use super::upgraded::{self, Upgraded};
use crate::body::{Body, BodyError};
use crate::memory;

/// A connection is idle when it had no request for between once and twice as long.
const IDLE: Duration = Duration::from_secs(1);

/// When what an idle connection used is given back: together with that of others which are idle by then.
const LATER: Duration = Duration::from_secs(2);

/// hyper's smallest buffer for a header block.
const MIN_HEADER_BUFFER: usize = 8192;

/// Serves a connection to its end.
pub async fn serve<I, S>(mut io: Prefixed<I>, http: Http, service: S, mut drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    let mut first_head = Some(http.first_head);
    loop {
        // In a box of its own, which is gone while the connection is idle.
        let busy = Box::pin(serve_until_idle(io, &http, first_head.take(), service.clone(), drain.clone()));
        let Some(idle) = busy.await else { return };
        io = idle;
        let mut later = pin!(tokio::time::sleep(LATER));
        let mut is_later = false;
        let has_more = loop {
            tokio::select! {
                biased;
                has_more = io.has_more() => break has_more,
                () = async { drop(drain.wait_for(|draining| *draining).await) } => break false,
                () = &mut later, if !is_later => {
                    is_later = true;
                    memory::give_back();
                }
            }
        };
        if !has_more {
            // What the client has not read of the last answer is the kernel's to deliver.
            let _ = io.shutdown().await;
            return;
        }
    }
}

/// Serves a connection until it ends (`None`) or is idle. One that has sent no head within `first_head` ends.
async fn serve_until_idle<I, S>(
    io: Prefixed<I>,
    http: &Http,
    first_head: Option<Duration>,
    service: S,
    mut drain: watch::Receiver<bool>,
) -> Option<Prefixed<I>>
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    let using = Arc::new(Using::default());
    let shared = using.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let busy = Busy::new(&shared);
        let mut request = request.map(Body::from);
        if request.headers().contains_key(UPGRADE) {
            shared.offer(upgraded::offer(&mut request));
        }
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.serve(request).await.map(|body| Answer { body, _busy: busy })) }
    });
    let mut builder = Builder::new();
    builder
        // hyper's counts idle time between requests, too.
        .header_read_timeout(None)
        .half_close(true)
        // Without `pipeline_flush`: it keeps answers back as long as there are unread bytes, so that one broken request
        // would end the connection without the answers before it, and without its own.
        .max_buf_size(http.header_buffer.max(MIN_HEADER_BUFFER));
    let io = Transport { io, using: using.clone() };
    let mut connection = builder.serve_connection(TokioIo::new(io), service);
    let began = Instant::now();
    let pause = first_head.map_or(IDLE, |limit| limit.min(IDLE));
    let mut pausing = pin!(tokio::time::sleep(pause));
    let mut draining = pin!(async { drop(drain.wait_for(|draining| *draining).await) });
    let mut known = 0;
    let mut is_parted = false;
    let outcome = loop {
        tokio::select! {
            // In this order, which needs no random number for each wake-up.
            biased;
            outcome = Pin::new(&mut connection) => break outcome,
            () = &mut pausing => {
                let calls = using.calls.load(Ordering::Relaxed);
                if calls == 0 && first_head.is_some_and(|limit| began.elapsed() >= limit) {
                    tracing::debug!(target: "dapr.runtime", "A connection sent no request in {:?}", began.elapsed());
                    return None;
                }
                let is_idle = calls > 0 && calls == known && using.is_idle();
                known = calls;
                pausing.as_mut().reset(Instant::now() + pause);
                if !is_idle {
                    continue;
                }
                // hyper, too, knows whether it is: then this ends the connection at once, without closing the socket.
                Pin::new(&mut connection).graceful_shutdown();
                match futures::poll!(Pin::new(&mut connection)) {
                    Poll::Ready(outcome) => {
                        is_parted = outcome.is_ok();
                        break outcome;
                    }
                    Poll::Pending => break Pin::new(&mut connection).await,
                }
            }
            () = &mut draining => {
                Pin::new(&mut connection).graceful_shutdown();
                break Pin::new(&mut connection).await;
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(target: "dapr.runtime", "A connection ended early: {error}");
    }
    let parts = connection.into_parts();
    let mut io = parts.io.into_inner().io;
    io.put_back(&parts.read_buf);
    if let Some(taker) = using.taker() {
        // It may have given up.
        let _ = taker.send(Box::pin(io));
        return None;
    }
    if is_parted {
        return Some(io);
    }
    let _ = io.shutdown().await;
    None
}

/// What goes on on a connection.
#[derive(Default)]
struct Using {
    /// Requests so far.
    calls: AtomicU64,
    /// Requests whose answer is not all with hyper yet.
    busy: AtomicUsize,
    /// hyper has written something since it last flushed: there may be more.
    is_writing: AtomicBool,
    /// Whoever takes the connection over.
    taker: Mutex<Option<oneshot::Sender<Upgraded>>>,
}

impl Using {
    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0 && !self.is_writing.load(Ordering::Relaxed)
    }

    fn offer(&self, taker: oneshot::Sender<Upgraded>) {
        *self.taker.lock().unwrap_or_else(PoisonError::into_inner) = Some(taker);
    }

    /// Whoever still waits for the connection.
    fn taker(&self) -> Option<oneshot::Sender<Upgraded>> {
        let taker = self.taker.lock().unwrap_or_else(PoisonError::into_inner).take();
        taker.filter(|taker| !taker.is_closed())
    }
}

/// Counts a request until its answer's body is dropped.
struct Busy(Arc<Using>);

impl Busy {
    fn new(using: &Arc<Using>) -> Self {
        using.calls.fetch_add(1, Ordering::Relaxed);
        using.busy.fetch_add(1, Ordering::Relaxed);
        Self(using.clone())
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The connection as hyper has it: it may come back, so that hyper does not close it.
struct Transport<I> {
    io: Prefixed<I>,
    using: Arc<Using>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Transport<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Transport<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.using.is_writing.store(true, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        self.using.is_writing.store(true, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        // hyper asks for it when all of its own buffer is written.
        let outcome = Pin::new(&mut self.io).poll_flush(context);
        if outcome.is_ready() {
            self.using.is_writing.store(false, Ordering::Relaxed);
        }
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use http::Response;
    use tokio::io::AsyncReadExt;
    use tokio::sync::mpsc;

    use super::*;

    /// Answers with what it is given, piece by piece; tells when it was asked.
    #[derive(Clone)]
    struct Told {
        asked: mpsc::UnboundedSender<String>,
        pieces: Arc<tokio::sync::Mutex<mpsc::UnboundedReceiver<Bytes>>>,
    }

    impl ServeConnection for Told {
        async fn serve(&self, request: Request<Body>) -> Response<Body> {
            let path = request.uri().path().to_owned();
            let _ = self.asked.send(path.clone());
            if path == "/slow" {
                let pieces = self.pieces.clone();
                let stream = futures::stream::unfold(pieces, |pieces| async {
                    let piece = pieces.lock().await.recv().await?;
                    Some((Ok::<_, Infallible>(Frame::data(piece)), pieces))
                });
                return Response::new(Body::stream(http_body_util::StreamBody::new(stream)));
            }
            Response::new(Body::full("hello"))
        }
    }

    struct Served {
        client: tokio::io::DuplexStream,
        asked: mpsc::UnboundedReceiver<String>,
        pieces: mpsc::UnboundedSender<Bytes>,
        drain: watch::Sender<bool>,
        task: tokio::task::JoinHandle<()>,
    }

    fn http() -> Http {
        let first_head = Duration::from_secs(10);
        Http { with_http1: true, with_http2: false, header_buffer: 0, keepalive: false, first_head }
    }

    fn serve_told() -> Served {
        let (client, server) = tokio::io::duplex(16 * 1024);
        let (drain, draining) = watch::channel(false);
        let (asked_sender, asked) = mpsc::unbounded_channel();
        let (pieces, piece_receiver) = mpsc::unbounded_channel();
        let service = Told { asked: asked_sender, pieces: Arc::new(tokio::sync::Mutex::new(piece_receiver)) };
        let task = tokio::spawn(serve(Prefixed::new(server), http(), service, draining));
        Served { client, asked, pieces, drain, task }
    }

    impl Served {
        async fn send(&mut self, text: &str) {
            self.client.write_all(text.as_bytes()).await.unwrap();
        }

        /// Reads until what came ends in `end`.
        async fn read_to(&mut self, end: &str) -> String {
            let mut read = Vec::new();
            while !read.ends_with(end.as_bytes()) {
                let byte = self.client.read_u8().await.expect("the connection is open");
                read.push(byte);
            }
            String::from_utf8(read).unwrap()
        }
    }

    // Time stands still in these tests but when everybody waits: then it goes on to the next timer.

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_taken_apart_with_what_was_read_of_it() {
        let (mut client, server) = tokio::io::duplex(16 * 1024);
        let (asked, _asked) = mpsc::unbounded_channel();
        let pieces = Arc::new(tokio::sync::Mutex::new(mpsc::unbounded_channel().1));
        let (_drain, draining) = watch::channel(false);
        let http = http();
        let service = Told { asked, pieces };
        let serving = tokio::spawn(async move {
            serve_until_idle(Prefixed::new(server), &http, Some(http.first_head), service, draining).await
        });
        client.write_all(b"GET /a HTTP/1.1\r\nhost: h\r\n\r\nGET /b").await.unwrap();
        let mut idle = serving.await.unwrap().expect("it is open");
        client.shutdown().await.unwrap();
        let mut rest = String::new();
        idle.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "GET /b");
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_answers_again_and_again() {
        let mut served = serve_told();
        for _ in 0..3 {
            served.send("GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await;
            assert!(served.read_to("hello").await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(IDLE * 5).await;
        }
        // A head that comes in parts, the first of which wakes the connection.
        served.send("GET /b HT").await;
        tokio::time::sleep(IDLE * 20).await;
        served.send("TP/1.1\r\nhost: h\r\n\r\n").await;
        served.read_to("hello").await;
        assert!(!served.task.is_finished());
        served.drain.send(true).unwrap();
        served.task.await.unwrap();
        let mut rest = Vec::new();
        served.client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_slow_is_not_idle() {
        let mut served = serve_told();
        served.send("GET /slow HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert_eq!(served.asked.recv().await.unwrap(), "/slow");
        for piece in ["one", "two"] {
            tokio::time::sleep(IDLE * 10).await;
            served.pieces.send(piece.into()).unwrap();
            served.read_to(&format!("{piece}\r\n")).await;
        }
        let (none, _) = mpsc::unbounded_channel();
        drop(std::mem::replace(&mut served.pieces, none));
        served.read_to("0\r\n\r\n").await;
        served.send("GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await;
        assert!(!served.read_to("hello").await.contains("connection: close"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_whose_body_is_slow_is_not_idle() {
        let mut served = serve_told();
        served.send("GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await;
        served.read_to("hello").await;
        served.send("POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nab").await;
        served.read_to("hello").await;
        tokio::time::sleep(IDLE * 10).await;
        // hyper reads no further body that nobody wanted: it may close, and never takes the rest for a request.
        let _ = served.client.write_all(b"cdGET /b HTTP/1.1\r\nhost: h\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(IDLE, served.client.read_to_end(&mut rest)).await;
        drop(served.client);
        let mut asked = Vec::new();
        while let Some(path) = served.asked.recv().await {
            asked.push(path);
        }
        assert!(asked == ["/a", "/a"] || asked == ["/a", "/a", "/b"], "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_ends_an_idle_connection() {
        let mut served = serve_told();
        served.send("GET /a HTTP/1.1\r\nhost: h\r\n\r\n").await;
        served.read_to("hello").await;
        tokio::time::sleep(IDLE * 5).await;
        drop(served.client);
        served.task.await.unwrap();
    }
}
