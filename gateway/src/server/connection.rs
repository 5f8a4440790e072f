//! Accepting connections and serving them on the workers, until told to drain.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Context;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::Bound;
use crate::body::Body;
use crate::coalesce::Gathered;
use crate::workers::Workers;

/// How long a new connection may take to send the head of its first request, as daprd 1.18. Later ones may be idle for
/// as long as they like: a client that sends on a connection just as it is closed cannot know what became of the request.
pub const FIRST_HEAD: Duration = Duration::from_secs(10);

/// hyper's smallest buffer for a header block.
const MIN_HEADER_BUFFER: usize = 8192;

/// Which protocols a listener speaks, and within which limits.
#[derive(Debug, Clone)]
pub struct Http {
    /// HTTP/1.1 beside HTTP/2 with prior knowledge; else HTTP/2 alone (gRPC).
    pub with_http1: bool,
    pub with_http2: bool,
    /// The most bytes of a header block that are read, and of a response that wait for an HTTP/1.1 client to read;
    /// daprd's limit of headers itself is held by a layer.
    pub header_buffer: usize,
    /// gRPC keepalive: pings to idle clients and GOAWAY as daprd 1.18 sends them.
    pub keepalive: bool,
    /// How long an HTTP/1.1 connection may take to send the first head; [`FIRST_HEAD`].
    pub first_head: Duration,
}

/// What answers the requests of a connection.
pub trait ServeConnection: Clone + Send + Sync + 'static {
    fn serve(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send;
}

/// Accepts until `drain` turns true; then every connection finishes what it has. Returns when all have ended.
pub async fn accept<S: ServeConnection>(
    bound: Bound,
    http: Http,
    service: S,
    workers: Workers,
    mut drain: watch::Receiver<bool>,
) {
    let connections = TaskTracker::new();
    loop {
        let stopping = async {
            // The sender lives as long as the listeners do.
            let _ = drain.wait_for(|draining| *draining).await;
        };
        let socket = tokio::select! {
            () = stopping => break,
            accepted = accept_one(&bound) => match accepted {
                Ok(socket) => socket,
                Err(error) => {
                    tracing::warn!(target: "dapr.runtime", "Failed to accept a connection: {error}");
                    // Out of descriptors, most likely: the next attempt at once would spin.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let (http, service, drain) = (http.clone(), service.clone(), drain.clone());
        let token = connections.token();
        workers.spawn(async move {
            let _token = token;
            match socket {
                Accepted::Tcp(stream) => {
                    if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                        serve_io(stream, http, service, drain).await;
                    }
                }
                Accepted::Unix(stream) => {
                    if let Ok(stream) = tokio::net::UnixStream::from_std(stream) {
                        serve_io(stream, http, service, drain).await;
                    }
                }
            }
        });
    }
    drop(bound);
    connections.close();
    connections.wait().await;
}

enum Accepted {
    Tcp(std::net::TcpStream),
    Unix(std::os::unix::net::UnixStream),
}

async fn accept_one(bound: &Bound) -> std::io::Result<Accepted> {
    match bound {
        Bound::Tcp(listener) => {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            stream.into_std().map(Accepted::Tcp)
        }
        Bound::Unix(listener, _) => listener.accept().await?.0.into_std().map(Accepted::Unix),
    }
}

async fn serve_io<I, S>(io: I, http: Http, service: S, drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    if http.with_http1 {
        // An answer of HTTP/1.1 is one write already.
        return serve_connection(io, |_| (), http, service, drain).await;
    }
    let io = Gathered::new(io);
    let owner = io.clone();
    serve_connection(io, move |context| owner.poll_write_out(context), http, service, drain).await;
}

/// `settle` is called after each poll of the connection.
async fn serve_connection<I, S>(
    io: I,
    settle: impl Fn(&mut Context<'_>),
    http: Http,
    service: S,
    mut drain: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // hyper's counts idle time between requests, too.
        .header_read_timeout(None)
        .half_close(true)
        // Without `pipeline_flush`: it keeps answers back as long as there are unread bytes, so that one broken request
        // would end the connection without the answers before it, and without its own.
        .max_buf_size(http.header_buffer.max(MIN_HEADER_BUFFER));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(None)
        .max_header_list_size(u32::try_from(http.header_buffer).unwrap_or(u32::MAX))
        .adaptive_window(true);
    // gRPC servers send no date, and what stands in a trailers-only answer reads as metadata.
    builder.http2().auto_date_header(http.with_http1);
    if http.keepalive {
        builder.http2().keep_alive_interval(Duration::from_secs(10)).keep_alive_timeout(Duration::from_secs(5));
    }
    let builder = match (http.with_http1, http.with_http2) {
        (false, _) => builder.http2_only(),
        (true, false) => builder.http1_only(),
        (true, true) => builder,
    };
    // A connection with HTTP/2 alone is watched by its pings.
    let has_begun = Arc::new(AtomicBool::new(!http.with_http1));
    let beginning = has_begun.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        beginning.store(true, Ordering::Relaxed);
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.serve(request.map(Body::from)).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let late = async {
        tokio::time::sleep(http.first_head).await;
        if has_begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let outcome = tokio::select! {
        // In this order, which needs no random number for each wake-up.
        biased;
        outcome = moving(connection.as_mut(), &settle) => outcome,
        () = late => {
            tracing::debug!(target: "dapr.runtime", "A connection sent no request in {:?}", http.first_head);
            return;
        }
        // The guard that it gives must not live on while the connection ends.
        () = async { drop(drain.wait_for(|draining| *draining).await) } => {
            connection.as_mut().graceful_shutdown();
            moving(connection.as_mut(), &settle).await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(target: "dapr.runtime", "A connection ended early: {error}");
    }
}

/// Polls a connection, and settles after each poll.
async fn moving<C: Future>(mut connection: Pin<&mut C>, settle: &impl Fn(&mut Context<'_>)) -> C::Output {
    poll_fn(|context| {
        let outcome = connection.as_mut().poll(context);
        settle(context);
        outcome
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[derive(Clone)]
    struct Hello;

    impl ServeConnection for Hello {
        async fn serve(&self, _request: Request<Body>) -> Response<Body> {
            Response::new(Body::full("hello"))
        }
    }

    /// The client's end of a connection that is served.
    fn connect(first_head: Duration) -> (tokio::io::DuplexStream, watch::Sender<bool>) {
        let (client, server) = tokio::io::duplex(4096);
        let (drain, draining) = watch::channel(false);
        tokio::spawn(serve_io(server, http(first_head), Hello, draining));
        (client, drain)
    }

    fn http(first_head: Duration) -> Http {
        Http { with_http1: true, with_http2: true, header_buffer: 0, keepalive: false, first_head }
    }

    async fn ask(client: &mut tokio::io::DuplexStream) -> String {
        client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 1024];
        let mut length = 0;
        while !answer[..length].ends_with(b"hello") {
            let more = client.read(&mut answer[length..]).await.unwrap();
            assert_ne!(more, 0, "the connection was closed");
            length += more;
        }
        String::from_utf8_lossy(&answer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_connection_that_was_used_may_be_idle() {
        let limit = Duration::from_millis(300);
        let (mut client, _drain) = connect(limit);
        for _ in 0..2 {
            assert!(ask(&mut client).await.starts_with("HTTP/1.1 200"));
            tokio::time::sleep(limit * 2).await;
        }
    }

    /// Gives as much as it is asked for, and counts it.
    #[derive(Clone, Default)]
    struct Endless(Arc<AtomicUsize>);

    impl http_body::Body for Endless {
        type Data = bytes::Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Self::Data>, Infallible>>> {
            let taken = self.0.fetch_add(1024, Ordering::Relaxed);
            // An end all the same, so that a failure of this test is one, and not an endless loop.
            let frame = (taken < 16 << 20).then(|| Ok(http_body::Frame::data(bytes::Bytes::from_static(&[0; 1024]))));
            std::task::Poll::Ready(frame)
        }
    }

    impl ServeConnection for Endless {
        async fn serve(&self, _request: Request<Body>) -> Response<Body> {
            Response::new(Body::stream(self.clone()))
        }
    }

    #[tokio::test]
    async fn what_a_client_does_not_read_does_not_pile_up() {
        let (mut client, server) = tokio::io::duplex(4096);
        let (_drain, draining) = watch::channel(false);
        let taken = Arc::new(AtomicUsize::new(0));
        let http = Http { header_buffer: 32 * 1024, ..http(FIRST_HEAD) };
        tokio::spawn(serve_io(server, http, Endless(taken.clone()), draining));
        client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        client.read_exact(&mut first).await.unwrap();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(taken.load(Ordering::Relaxed) <= 64 * 1024, "{} bytes wait", taken.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_closed() {
        let (mut client, _drain) = connect(Duration::from_millis(50));
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"");
    }
}
