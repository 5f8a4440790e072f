//! One hop on bare hyper: connections and nothing around them.

use std::error::Error;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};

/// What a stream may send before the other side has read.
const STREAM_WINDOW: u32 = 1 << 20;
/// What all streams of a connection may.
const CONNECTION_WINDOW: u32 = 1 << 24;

type Failure = Box<dyn Error + Send + Sync>;

/// Relays everything to another port.
pub async fn serve(listener: TcpListener, to: u16, http2: bool) -> io::Result<()> {
    let upstream = Arc::new(if http2 {
        Upstream::Http2(connect_http2(to).await.map_err(io::Error::other)?)
    } else {
        Upstream::Http1 { to, free: Mutex::default() }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let upstream = upstream.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(upstream.clone(), request));
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().initial_stream_window_size(STREAM_WINDOW).max_concurrent_streams(1000);
            builder.http2().initial_connection_window_size(CONNECTION_WINDOW);
            // A connection that breaks off is its other side's matter.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The other side.
enum Upstream {
    /// A connection for each call that runs.
    Http1 { to: u16, free: Mutex<Vec<http1::SendRequest<Incoming>>> },
    /// One for all.
    Http2(http2::SendRequest<Incoming>),
}

impl Upstream {
    async fn send(&self, mut request: Request<Incoming>) -> Result<Response<Incoming>, Failure> {
        match self {
            Self::Http1 { to, free } => {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                *request.uri_mut() = path.parse::<Uri>()?;
                *request.version_mut() = http::Version::HTTP_11;
                request.headers_mut().insert(header::HOST, header::HeaderValue::from_static("localhost"));
                let found = {
                    let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
                    free.retain(|sender| !sender.is_closed());
                    free.iter().position(http1::SendRequest::is_ready).map(|place| free.swap_remove(place))
                };
                let mut sender = match found {
                    Some(sender) => sender,
                    None => connect_http1(*to).await?,
                };
                let response = sender.send_request(request).await?;
                // It is ready for another when the body has been read, and is not taken before.
                free.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                Ok(response)
            }
            Self::Http2(sender) => {
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
                *request.uri_mut() = format!("http://localhost{path}").parse::<Uri>()?;
                *request.version_mut() = http::Version::HTTP_2;
                request.headers_mut().remove(header::HOST);
                Ok(sender.clone().send_request(request).await?)
            }
        }
    }
}

async fn answer(upstream: Arc<Upstream>, request: Request<Incoming>) -> Result<Response<Incoming>, Failure> {
    let mut response = upstream.send(request).await?;
    *response.version_mut() = http::Version::HTTP_11;
    Ok(response)
}

async fn connect(to: u16) -> io::Result<TokioIo<TcpStream>> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await?;
    stream.set_nodelay(true)?;
    Ok(TokioIo::new(stream))
}

async fn connect_http1(to: u16) -> Result<http1::SendRequest<Incoming>, Failure> {
    let (sender, connection) = http1::handshake(connect(to).await?).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn connect_http2(to: u16) -> Result<http2::SendRequest<Incoming>, Failure> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new());
    builder.initial_stream_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    let (sender, connection) = builder.handshake(connect(to).await?).await?;
    tokio::spawn(connection);
    Ok(sender)
}
