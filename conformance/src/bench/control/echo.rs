//! The least that a unary call costs a server made with tonic: `GetState`, with 1 KB at once.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use proto_dapr::runtime::{GetStateRequest, GetStateResponse};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic_prost::ProstCodec;

/// Serves every connection.
pub async fn serve(listener: TcpListener) -> io::Result<()> {
    let incoming = tonic::transport::server::TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = tonic::transport::Server::builder().max_concurrent_streams(1000).add_service(Echo);
    server.serve_with_incoming(incoming).await.map_err(io::Error::other)
}

/// All of Dapr's API, and always the same answer.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "dapr.proto.runtime.v1.Dapr";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(Answer, request).await) })
    }
}

struct Answer;

impl UnaryService<GetStateRequest> for Answer {
    type Response = GetStateResponse;
    type Future = Ready<Result<tonic::Response<GetStateResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<GetStateRequest>) -> Self::Future {
        let data = Bytes::from_static(&[b'x'; 1024]);
        ready(Ok(tonic::Response::new(GetStateResponse { data, etag: "1".to_owned(), ..GetStateResponse::default() })))
    }
}
