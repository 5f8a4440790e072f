//! A connection with HTTP/2.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::connection::{Http, ServeConnection};
use crate::body::Body;
use crate::coalesce::Gathered;

/// What a client begins with.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves a connection to its end.
pub async fn serve<I, S>(io: I, http: &Http, service: S, mut drain: watch::Receiver<bool>)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    S: ServeConnection,
{
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(None)
        .max_header_list_size(u32::try_from(http.header_buffer).unwrap_or(u32::MAX))
        .adaptive_window(true)
        // gRPC servers send no date, and what stands in a trailers-only answer reads as metadata.
        .auto_date_header(http.with_http1);
    if http.keepalive {
        builder.keep_alive_interval(Duration::from_secs(10)).keep_alive_timeout(Duration::from_secs(5));
    }
    // A connection with HTTP/2 alone is watched by its pings.
    let has_begun = AtomicBool::new(!http.with_http1);
    let service = service_fn(|request: Request<Incoming>| {
        has_begun.store(true, Ordering::Relaxed);
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.serve(request.map(Body::from)).await) }
    });
    let io = Gathered::new(io);
    let owner = io.clone();
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut is_draining = false;
    let mut draining = pin!(async { drop(drain.wait_for(|draining| *draining).await) });
    let late = async {
        tokio::time::sleep(http.first_head).await;
        if has_begun.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let mut late = pin!(late);
    loop {
        let moving = poll_fn(|context| {
            let outcome = connection.as_mut().poll(context);
            owner.poll_write_out(context);
            outcome
        });
        let outcome = tokio::select! {
            // In this order, which needs no random number for each wake-up.
            biased;
            outcome = moving => outcome,
            () = &mut late, if !is_draining => {
                tracing::debug!(target: "dapr.runtime", "A connection sent no request in {:?}", http.first_head);
                return;
            }
            () = &mut draining, if !is_draining => {
                is_draining = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(target: "dapr.runtime", "A connection ended early: {error}");
        }
        return;
    }
}
