//! Modules over HTTP.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Url;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};

use super::{LARGEST, too_large};
use crate::error::{Error, Result};

/// Component loading has its own limit (`initTimeout`); this one ends connections that nobody waits for.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Gets a module; an answer in gzip is unpacked.
pub async fn get(url: &Url) -> Result<Bytes> {
    let failed = |error: reqwest::Error| Error::Source(format!("Get \"{url}\": {}", causes(&error)));
    let response = client()?.get(url.clone()).header(ACCEPT_ENCODING, "gzip").send().await.map_err(failed)?;
    content(url.as_str(), response).await
}

/// A client for one module.
pub fn client() -> Result<reqwest::Client> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build();
    client.map_err(|error| Error::Source(format!("no HTTP client: {}", causes(&error))))
}

/// The body of an answer that must be a 200, unpacked.
pub async fn content(url: &str, mut response: reqwest::Response) -> Result<Bytes> {
    let failed = |error: reqwest::Error| Error::Source(format!("Get \"{url}\": {}", causes(&error)));
    if response.status() != reqwest::StatusCode::OK {
        return Err(Error::Source(format!("received {} status code from \"{url}\"", response.status().as_u16())));
    }
    let is_packed = response.headers().get(CONTENT_ENCODING).is_some_and(|encoding| encoding == "gzip");
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if (bytes.len() + chunk.len()) as u64 > LARGEST {
            return Err(too_large(url));
        }
        bytes.extend_from_slice(&chunk);
    }
    if is_packed { unpacked(url, &bytes) } else { Ok(bytes.freeze()) }
}

/// What is packed in gzip.
pub fn unpacked(url: &str, bytes: &[u8]) -> Result<Bytes> {
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(bytes)
        .take(LARGEST + 1)
        .read_to_end(&mut unpacked)
        .map_err(|error| Error::Source(format!("the answer of \"{url}\" is no gzip: {error}")))?;
    if unpacked.len() as u64 > LARGEST {
        return Err(too_large(url));
    }
    Ok(unpacked.into())
}

/// The innermost cause says what happened; the outer ones repeat the URL.
pub fn causes(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Answers one request.
    async fn serve(answer: Vec<u8>) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/guest.wasm", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.unwrap();
            stream.write_all(&answer).await.unwrap();
        });
        url.parse().unwrap()
    }

    fn answer(head: &str, body: &[u8]) -> Vec<u8> {
        let mut answer = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        answer
    }

    #[tokio::test]
    async fn modules_come_plain_or_packed() {
        let url = serve(answer("200 OK", b"\0asm")).await;
        assert_eq!(get(&url).await.unwrap(), "\0asm");
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"\0asm").unwrap();
        let url = serve(answer("200 OK\r\nContent-Encoding: gzip", &encoder.finish().unwrap())).await;
        assert_eq!(get(&url).await.unwrap(), "\0asm");
    }

    #[tokio::test]
    async fn other_answers_are_errors_with_daprds_text() {
        let url = serve(answer("500 Internal Server Error", b"")).await;
        let error = get(&url).await.unwrap_err().to_string();
        assert_eq!(error, format!("received 500 status code from \"{url}\""));
        let error = get(&"http://127.0.0.1:1/".parse().unwrap()).await.unwrap_err().to_string();
        assert!(error.starts_with("Get \"http://127.0.0.1:1/\": "), "{error}");
    }
}
