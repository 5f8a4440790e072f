//! The limit: bare hyper, in processes of its own, with nothing of a sidecar but the hops.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use proto_dapr::common::InvokeResponse;
use tokio::net::TcpListener;

use crate::target::{Process, free_ports};

/// What a control process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Answers 1 KB.
    Respond,
    /// Answers `OnInvoke` and `InvokeService` of gRPC with 1 KB; nothing else is implemented.
    RespondGrpc,
    /// Relays to another port over HTTP/1.1.
    Relay,
    /// Relays to another port over HTTP/2 without TLS.
    RelayHttp2,
}

/// A running control process.
pub struct Control {
    process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Control {
    /// Starts this very program as one.
    ///
    /// # Errors
    /// This program has no path.
    pub fn start(kind: Kind, to: u16, log: &Path) -> io::Result<Self> {
        use clap::ValueEnum;
        let [port] = free_ports();
        let mut command = Command::new(std::env::current_exe()?);
        let name = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        command.args(["control", "--kind", &name, "--port", &port.to_string(), "--to", &to.to_string()]);
        let mut process = Process::start(command, log);
        process.wait_until("listening", Duration::from_secs(10), || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Ok(Self { process, port })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

type Client = legacy::Client<HttpConnector, Incoming>;
type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// Serves until it is killed.
///
/// # Errors
/// The port cannot be had.
pub fn serve(kind: Kind, port: u16, to: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut client = legacy::Client::builder(TokioExecutor::new());
        if kind == Kind::RelayHttp2 {
            client.http2_only(true).http2_initial_stream_window_size(1 << 20);
        }
        let client: Client = client.build(connector);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let client = client.clone();
            tokio::spawn(async move {
                let service = service_fn(move |request| answer(kind, client.clone(), to, request));
                // A connection that breaks off is its other side's matter.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    })
}

async fn answer(kind: Kind, client: Client, to: u16, mut request: Request<Incoming>) -> Result<Answer, legacy::Error> {
    match kind {
        Kind::Respond => {
            // An error is the connection's end, which hyper sees itself.
            let _ = request.into_body().collect().await;
            Ok(Response::new(Full::new(Bytes::from_static(&[b'x'; 1024])).map_err(|never| match never {}).boxed()))
        }
        Kind::RespondGrpc => {
            let known = request.uri().path().ends_with("/OnInvoke") || request.uri().path().ends_with("/InvokeService");
            let _ = request.into_body().collect().await;
            Ok(invoked(known))
        }
        Kind::Relay | Kind::RelayHttp2 => {
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            // Well formed: a port and a path that was parsed.
            let uri = format!("http://127.0.0.1:{to}{path}").parse::<Uri>().unwrap_or_default();
            *request.uri_mut() = uri;
            *request.version_mut() =
                if kind == Kind::RelayHttp2 { http::Version::HTTP_2 } else { http::Version::HTTP_11 };
            request.headers_mut().remove(header::HOST);
            let mut response = client.request(request).await?.map(BodyExt::boxed);
            *response.version_mut() = http::Version::HTTP_11;
            Ok(response)
        }
    }
}

/// The gRPC answer: a message of 1 KB, or `UNIMPLEMENTED`.
fn invoked(known: bool) -> Answer {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(if known { "0" } else { "12" }));
    let mut body = Vec::new();
    if known {
        let data = prost_types::Any { type_url: String::new(), value: vec![b'x'; 1024] };
        let message = InvokeResponse { data: Some(data), content_type: "text/plain".to_owned() }.encode_to_vec();
        body.push(0);
        body.extend(u32::try_from(message.len()).unwrap_or(0).to_be_bytes());
        body.extend(message);
    }
    let body = Full::new(Bytes::from(body)).with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.map_err(|never: std::convert::Infallible| match never {}).boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
