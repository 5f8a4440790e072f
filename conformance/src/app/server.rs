//! An application as a server of HTTP/1.1 on a port of the loopback interface.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::Events;
use super::answer::answer;

/// What an application does.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Pub/sub component and topic of each subscription; messages come to `/events`.
    pub subscriptions: Vec<(String, String)>,
    /// How long a message is worked on before it is answered.
    pub event_work: Duration,
    /// Counts messages instead of recording them: any message is good, and none is read.
    pub counted: Option<Arc<AtomicU64>>,
    /// Where messages are recorded.
    pub events: Arc<Events>,
    /// How many calls of `/echo` have come.
    pub calls: Arc<AtomicU64>,
}

/// A running application; it ends with its value, together with its connections.
pub struct App {
    /// The port it listens on.
    pub port: u16,
    serving: JoinHandle<()>,
}

impl App {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// No port can be had.
    pub fn start(runtime: &Handle, settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let _inside = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        Ok(Self { port, serving: runtime.spawn(serve(listener, Arc::new(settings))) })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: tokio::net::TcpListener, settings: Arc<Settings>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors, most likely.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let settings = settings.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| answer(settings.clone(), request));
            // A connection that breaks off is the other side's matter: it is how sidecars are killed.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .max_buf_size(64 * 1024)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
        while connections.try_join_next().is_some() {}
    }
}
