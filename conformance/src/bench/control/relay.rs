//! One hop on bare hyper.

use std::io;

use http::{Request, Response, Uri, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

type Client = legacy::Client<HttpConnector, Incoming>;

/// What a stream may send before the other side has read.
const STREAM_WINDOW: u32 = 1 << 20;
/// What all streams of a connection may.
const CONNECTION_WINDOW: u32 = 1 << 24;

/// Relays everything to another port.
pub async fn serve(listener: TcpListener, to: u16, http2: bool) -> io::Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let mut client = legacy::Client::builder(TokioExecutor::new());
    client.http2_only(http2).http2_initial_stream_window_size(STREAM_WINDOW);
    client.http2_initial_connection_window_size(CONNECTION_WINDOW);
    let client: Client = client.build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(client.clone(), to, http2, request));
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().initial_stream_window_size(STREAM_WINDOW).max_concurrent_streams(1000);
            builder.http2().initial_connection_window_size(CONNECTION_WINDOW);
            // A connection that breaks off is its other side's matter.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(
    client: Client,
    to: u16,
    http2: bool,
    mut request: Request<Incoming>,
) -> Result<Response<Incoming>, legacy::Error> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    // Well formed: a port and a path that was parsed.
    *request.uri_mut() = format!("http://127.0.0.1:{to}{path}").parse::<Uri>().unwrap_or_default();
    *request.version_mut() = if http2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
    request.headers_mut().remove(header::HOST);
    let mut response = client.request(request).await?;
    *response.version_mut() = http::Version::HTTP_11;
    Ok(response)
}
