//! One HTTP/2 request with prior knowledge: valid frames, whose contents are the caller's.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;

/// What came back.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The stream was reset or the connection was closed; the reason in HTTP/2's words.
    Reset(String),
    /// Nothing within the patience.
    Silence,
}

/// How the sending side ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With the end of the stream.
    Ended,
    /// Not at all: more could come.
    Open,
}

/// Sends one request and waits for its answer, or for the end of the stream.
pub fn call(port: u16, request: Request<Bytes>, ending: Ending, patience: Duration) -> Result<Answer, NoAnswer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| NoAnswer::Reset(error.to_string()))?;
    runtime.block_on(async {
        match tokio::time::timeout(patience, converse(port, request, ending)).await {
            Ok(outcome) => outcome.map_err(|error| {
                NoAnswer::Reset(error.reason().map_or_else(|| "closed".to_owned(), |reason| format!("{reason:?}")))
            }),
            Err(_) => Err(NoAnswer::Silence),
        }
    })
}

async fn converse(port: u16, request: Request<Bytes>, ending: Ending) -> Result<Answer, h2::Error> {
    let closed = |_| h2::Error::from(h2::Reason::REFUSED_STREAM);
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(closed)?;
    // The server's limits are what is asked about, so this side has none.
    let (client, connection) =
        h2::client::Builder::new().max_header_list_size(1 << 20).handshake::<_, Bytes>(stream).await?;
    let running = tokio::spawn(connection);
    let mut client = client.ready().await?;
    let (parts, body) = request.into_parts();
    let (answer, mut sending) = client.send_request(Request::from_parts(parts, ()), false)?;
    // A server may reset a stream before all is sent; what it answered counts.
    let _ = sending.send_data(body, ending == Ending::Ended);
    let (parts, mut receiving) = answer.await?.into_parts();
    let mut body = Vec::new();
    while let Some(data) = receiving.data().await {
        let data = match data {
            Ok(data) => data,
            // gRPC servers end the answer and then tell the client to stop sending.
            Err(error) if error.reason() == Some(h2::Reason::NO_ERROR) => break,
            Err(error) => return Err(error),
        };
        // The window cannot be given back when the stream is already over.
        let _ = receiving.flow_control().release_capacity(data.len());
        body.extend_from_slice(&data);
    }
    let trailers = receiving.trailers().await.ok().flatten().unwrap_or_default();
    running.abort();
    Ok(Answer { status: parts.status, headers: parts.headers, body, trailers })
}
