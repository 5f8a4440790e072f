//! A closed-loop generator: a fixed number of exchanges at any time, each begun when the one before it has ended.
//!
//! One thread. HTTP/1.1 has one exchange a connection, HTTP/2 several.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// What is asked over and over.
#[derive(Debug, Clone)]
pub struct Work {
    pub method: Method,
    /// From the slash on.
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Connections of HTTP/1.1, or of HTTP/2 with so many exchanges on each.
    pub connections: usize,
    /// 0: HTTP/1.1.
    pub streams: usize,
}

impl Work {
    /// 16 connections of HTTP/1.1.
    pub fn http1(method: Method, path: impl Into<String>, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        Self { method, path: path.into(), headers, body, connections: 16, streams: 0 }
    }

    /// 4 connections with 4 unary gRPC calls each.
    pub fn grpc(path: &str, message: &impl prost::Message) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/grpc"));
        headers.insert(http::header::TE, http::HeaderValue::from_static("trailers"));
        let encoded = message.encode_to_vec();
        let length = u32::try_from(encoded.len()).expect("a message of a benchmark is small");
        let body = [&[0], length.to_be_bytes().as_slice(), &encoded].concat().into();
        Self { method: Method::POST, path: path.to_owned(), headers, body, connections: 4, streams: 4 }
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Exchanges that ended well.
    pub requests: u64,
    /// Those that did not.
    pub errors: u64,
    /// Why the first of them did not.
    pub first_error: Option<String>,
    /// Microseconds.
    pub latencies: Histogram<u64>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Default for Counted {
    fn default() -> Self {
        Self {
            requests: 0,
            errors: 0,
            first_error: None,
            latencies: Histogram::new(3).expect("three significant digits are allowed"),
            elapsed: Duration::ZERO,
        }
    }
}

impl Counted {
    fn count(&mut self, begun: Instant, outcome: Result<(), String>) -> bool {
        match outcome {
            Ok(()) => {
                self.requests += 1;
                let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
                // It grows as needed.
                let _ = self.latencies.record(micros.max(1));
                true
            }
            Err(error) => {
                self.errors += 1;
                self.first_error.get_or_insert(error);
                false
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
        // Both grow as needed, so that nothing is out of range.
        let _ = self.latencies.add(other.latencies);
    }
}

/// Asks `work` of a port of the loopback interface for `duration`.
pub fn run(work: &Work, port: u16, duration: Duration) -> Counted {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    let begun = Instant::now();
    let mut counted = runtime.block_on(async {
        let work = Arc::new(work.clone());
        let mut tasks = JoinSet::new();
        for _ in 0..work.connections {
            if work.streams == 0 {
                tasks.spawn(connection(work.clone(), port, begun + duration));
            } else {
                tasks.spawn(multiplexed(work.clone(), port, begun + duration));
            }
        }
        let mut all = Counted::default();
        while let Some(counted) = tasks.join_next().await {
            all.merge(counted.unwrap_or_default());
        }
        all
    });
    counted.elapsed = begun.elapsed();
    counted
}

async fn connect(port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await;
    let stream = stream.map_err(|error| format!("cannot connect to port {port}: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

/// HTTP/1.1 with one exchange at a time; a broken connection is made anew and counted as an error.
async fn connection(work: Arc<Work>, port: u16, until: Instant) -> Counted {
    let mut counted = Counted::default();
    while Instant::now() < until {
        let mut sender = match connect(port).await {
            Err(error) => {
                counted.count(until, Err(error));
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
            Ok(stream) => match http1::handshake(TokioIo::new(stream)).await {
                Err(error) => {
                    counted.count(until, Err(error.to_string()));
                    continue;
                }
                Ok((sender, connection)) => {
                    tokio::spawn(connection);
                    sender
                }
            },
        };
        let uri: Uri = work.path.parse().expect("a path of a benchmark");
        while Instant::now() < until {
            let begun = Instant::now();
            let mut request = Request::new(Full::new(work.body.clone()));
            *request.method_mut() = work.method.clone();
            *request.uri_mut() = uri.clone();
            *request.headers_mut() = work.headers.clone();
            request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
            let outcome = async {
                sender.ready().await.map_err(|error| error.to_string())?;
                let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
                finish(response).await
            };
            if !counted.count(begun, outcome.await) && sender.is_closed() {
                break;
            }
        }
    }
    counted
}

/// HTTP/2 with several exchanges at a time.
async fn multiplexed(work: Arc<Work>, port: u16, until: Instant) -> Counted {
    let handshake = async {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 22);
        builder.handshake(TokioIo::new(connect(port).await?)).await.map_err(|error| error.to_string())
    };
    let mut all = Counted::default();
    let sender = match handshake.await {
        Ok((sender, connection)) => {
            tokio::spawn(connection);
            sender
        }
        Err(error) => {
            all.count(until, Err(error));
            return all;
        }
    };
    let uri: Uri = format!("http://localhost:{port}{}", work.path).parse().expect("a path of a benchmark");
    let mut streams = JoinSet::new();
    for _ in 0..work.streams {
        let (mut sender, work, uri) = (sender.clone(), work.clone(), uri.clone());
        streams.spawn(async move {
            let mut counted = Counted::default();
            while Instant::now() < until {
                let begun = Instant::now();
                let mut request = Request::new(OfUnknownLength(Full::new(work.body.clone())));
                *request.method_mut() = work.method.clone();
                *request.uri_mut() = uri.clone();
                *request.version_mut() = http::Version::HTTP_2;
                *request.headers_mut() = work.headers.clone();
                let outcome = async {
                    sender.ready().await.map_err(|error| error.to_string())?;
                    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
                    finish(response).await
                };
                if !counted.count(begun, outcome.await) && sender.is_closed() {
                    break;
                }
            }
            counted
        });
    }
    while let Some(counted) = streams.join_next().await {
        all.merge(counted.unwrap_or_default());
    }
    all
}

/// Without a `content-length`, which gRPC's clients do not send: daprd would hand it on to the application, where it is
/// another message's.
struct OfUnknownLength(Full<Bytes>);

impl Body for OfUnknownLength {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }
}

/// Reads the answer; its status, and gRPC's, must be good.
async fn finish(response: http::Response<hyper::body::Incoming>) -> Result<(), String> {
    let status = response.status();
    let in_headers = grpc_status(response.headers());
    let body = response.into_body().collect().await.map_err(|error| format!("broken answer: {error}"))?;
    let code = in_headers.or_else(|| body.trailers().and_then(grpc_status));
    match code {
        _ if !status.is_success() => Err(format!("{status}: {}", String::from_utf8_lossy(&body.to_bytes()))),
        Some(code) if code != "0" => Err(format!("gRPC status {code}")),
        _ => Ok(()),
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    let code = headers.get("grpc-status")?.to_str().unwrap_or("unreadable");
    let message = headers.get("grpc-message").and_then(|text| text.to_str().ok()).unwrap_or_default();
    Some(if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") })
}
