//! Accepting connections and serving them on the workers, until told to drain.

use std::future::Future;
use std::time::Duration;

use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::prefixed::Prefixed;
use super::{Bound, http1, http2};
use crate::body::Body;
use crate::workers::Workers;

/// How long a new connection may take to send the head of its first request, as daprd 1.18. Later ones may be idle for
/// as long as they like: a client that sends on a connection just as it is closed cannot know what became of the request.
pub const FIRST_HEAD: Duration = Duration::from_secs(10);

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

/// Serves a connection with whichever protocol it begins with.
async fn serve_io<I, S>(io: I, http: Http, service: S, mut drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    let mut io = Prefixed::new(io);
    let is_http2 = match (http.with_http1, http.with_http2) {
        (false, _) => true,
        (true, false) => false,
        (true, true) => {
            // What is not decided by then never was a request.
            tokio::select! {
                biased;
                begins = tokio::time::timeout(http.first_head, io.begins_with(http2::PREFACE)) => match begins {
                    Ok(Ok(is_http2)) => is_http2,
                    Ok(Err(_)) | Err(_) => return,
                },
                () = async { drop(drain.wait_for(|draining| *draining).await) } => return,
            }
        }
    };
    // Boxed, since the one is much larger than the other, which there may be thousands of.
    match is_http2 {
        true => Box::pin(http2::serve(io, &http, service, drain)).await,
        false => http1::serve(io, http, service, drain).await,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

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
