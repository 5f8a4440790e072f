//! Accepting connections and serving them on the workers, until told to drain.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
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
use crate::workers::Workers;

/// hyper's smallest buffer for a header block.
const MIN_HEADER_BUFFER: usize = 8192;

/// Which protocols a listener speaks, and within which limits.
#[derive(Debug, Clone)]
pub struct Http {
    /// HTTP/1.1 beside HTTP/2 with prior knowledge; else HTTP/2 alone (gRPC).
    pub with_http1: bool,
    pub with_http2: bool,
    /// The most bytes of a header block that are read; daprd's limit itself is held by a layer.
    pub header_buffer: usize,
    /// gRPC keepalive: pings to idle clients and GOAWAY as daprd 1.18 sends them.
    pub keepalive: bool,
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
        workers.spawn(move || async move {
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

async fn serve_io<I, S>(io: I, http: Http, service: S, mut drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(10))
        .half_close(true)
        .max_buf_size(http.header_buffer.max(MIN_HEADER_BUFFER))
        .pipeline_flush(true);
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
    let service = service_fn(move |request: Request<Incoming>| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.serve(request.map(Body::from)).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        _ = drain.wait_for(|draining| *draining) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(target: "dapr.runtime", "A connection ended early: {error}");
    }
}
