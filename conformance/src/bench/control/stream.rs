//! An application that speaks gRPC: unary calls of 1 KB, and a stream of messages.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use proto_dapr::common::InvokeResponse;
use tokio::net::TcpListener;

/// The path of the stream.
pub const PATH: &str = "/ottavo.bench.Bench/Stream";
/// Messages of a stream.
pub const MESSAGES: u64 = 1000;

/// Serves every connection.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let data = prost_types::Any { type_url: String::new(), value: vec![b'x'; 1024] };
    let unary = InvokeResponse { data: Some(data), content_type: "text/plain".to_owned() };
    let (unary, streamed) = (framed(&unary.encode_to_vec()), framed(&[b'x'; 1024]));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (unary, streamed) = (unary.clone(), streamed.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| answer(request, unary.clone(), streamed.clone()));
            // A connection that breaks off is its other side's matter.
            let _ = http2::Builder::new(TokioExecutor::new())
                .max_concurrent_streams(1000)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, unary: Bytes, streamed: Bytes) -> Result<Response<Messages>, Infallible> {
    let (message, count) = match request.uri().path() {
        PATH => (streamed, MESSAGES),
        path if path.ends_with("/OnInvoke") || path.ends_with("/InvokeService") => (unary, 1),
        // What else sidecars ask for is not implemented.
        _ => (unary, 0),
    };
    // An error is the connection's end, which hyper sees itself.
    let _ = request.into_body().collect().await;
    let status = if count == 0 { "12" } else { "0" };
    let mut response = Response::new(Messages { message, left: count, status: Some(status) });
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    Ok(response)
}

/// A message with its prefix: not compressed, and its length.
fn framed(message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap_or(0).to_be_bytes();
    [&[0], length.as_slice(), message].concat().into()
}

/// The same message several times, a frame each as servers of gRPC write them, and the status.
struct Messages {
    message: Bytes,
    left: u64,
    status: Option<&'static str>,
}

impl Body for Messages {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left > 0 {
            self.left -= 1;
            return Poll::Ready(Some(Ok(Frame::data(self.message.clone()))));
        }
        Poll::Ready(self.status.take().map(|status| {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static(status));
            Ok(Frame::trailers(trailers))
        }))
    }
}
