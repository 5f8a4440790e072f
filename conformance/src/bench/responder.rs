//! A raw responder: HTTP/1.1 as cheaply as one thread can serve it. It stands behind sidecars as their application, and
//! by itself it is the least that an answer costs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::protocol::http1::{Kind, Reader};

/// The length of a large body: `/download`.
pub const LARGE: usize = 100 << 20;
/// What is read or written at once.
const BUFFER: usize = 64 * 1024;

/// What is served.
#[derive(Debug)]
pub struct Site {
    /// The answer to everything else.
    small: Vec<u8>,
    large: Vec<u8>,
    missing: Vec<u8>,
    subscriptions: Option<Vec<u8>>,
    events: Arc<AtomicU64>,
}

impl Default for Site {
    /// Answers 1 KB, and [`LARGE`] to `/download`.
    fn default() -> Self {
        Self {
            small: answer("200 OK", "text/plain", &[b'x'; 1024]),
            large: head("200 OK", "application/octet-stream", LARGE).into_bytes(),
            missing: answer("404 Not Found", "text/plain", b""),
            subscriptions: None,
            events: Arc::default(),
        }
    }
}

impl Site {
    /// Takes messages of these subscriptions (JSON) at `/events`, and counts them in `events`.
    pub fn receiving(subscriptions: &str, events: Arc<AtomicU64>) -> Self {
        let subscriptions = Some(answer("200 OK", "application/json", subscriptions.as_bytes()));
        Self { small: answer("200 OK", "text/plain", b""), subscriptions, events, ..Self::default() }
    }

    /// Appends the answer to a path, and says how many further bytes of any kind belong to it.
    fn answer(&self, path: &[u8], out: &mut Vec<u8>) -> usize {
        match path {
            b"/download" => {
                out.extend_from_slice(&self.large);
                return LARGE;
            }
            b"/dapr/subscribe" => out.extend_from_slice(self.subscriptions.as_ref().unwrap_or(&self.missing)),
            // What else sidecars ask for is not there.
            path if path.starts_with(b"/dapr/") => out.extend_from_slice(&self.missing),
            path => {
                if path == b"/events" {
                    self.events.fetch_add(1, Ordering::Relaxed);
                }
                out.extend_from_slice(&self.small);
            }
        }
        0
    }
}

fn head(status: &str, kind: &str, length: usize) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n")
}

fn answer(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    [head(status, kind, body.len()).as_bytes(), body].concat()
}

/// Serves every connection of `listener`.
///
/// # Errors
/// None can be accepted any more.
pub async fn serve(listener: TcpListener, site: Arc<Site>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let site = site.clone();
        tokio::spawn(async move {
            // A connection that breaks off is its other side's matter.
            let _ = connection(stream, &site).await;
        });
    }
}

/// Serves one connection until it is closed.
///
/// # Errors
/// It breaks, or what comes is no HTTP/1.1.
pub async fn connection(mut stream: impl AsyncRead + AsyncWrite + Unpin, site: &Site) -> io::Result<()> {
    let (mut reader, mut out) = (Reader::new(Kind::Requests), Vec::new());
    let (mut buffer, mut filled) = (vec![0; BUFFER], 0);
    loop {
        let count = stream.read(&mut buffer[filled..]).await?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let mut used = 0;
        let mut closes = false;
        loop {
            let taken = reader.take(&buffer[used..filled]).map_err(io::Error::other)?;
            used += taken.bytes;
            if !taken.ended {
                break;
            }
            closes |= reader.closes();
            let mut further = site.answer(reader.target(), &mut out);
            while further > 0 {
                stream.write_all(&out).await?;
                // Any bytes will do.
                out.clear();
                out.resize(further.min(BUFFER), b'x');
                further -= out.len();
            }
        }
        stream.write_all(&out).await?;
        out.clear();
        if closes {
            return stream.shutdown().await;
        }
        buffer.copy_within(used..filled, 0);
        filled -= used;
        if filled == BUFFER {
            return Err(io::Error::other("a head that is too long"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everything_that_was_asked_is_answered_in_turn() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        let events = Arc::new(AtomicU64::new(0));
        let site = Site::receiving("[]", events.clone());
        let serving = tokio::spawn(async move { connection(server, &site).await });
        let asked = b"GET /dapr/subscribe HTTP/1.1\r\n\r\nPOST /events HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc\
            GET /dapr/config HTTP/1.1\r\nconnection: close\r\n\r\n";
        for piece in asked.chunks(11) {
            client.write_all(piece).await.unwrap();
        }
        let mut answers = String::new();
        client.read_to_string(&mut answers).await.unwrap();
        let statuses: Vec<_> = answers.matches("HTTP/1.1 ").collect();
        assert_eq!(statuses.len(), 3, "{answers}");
        assert!(answers.contains("content-length: 2\r\n\r\n[]HTTP/1.1 200 OK") && answers.contains("404 Not Found"));
        assert_eq!(events.load(Ordering::Relaxed), 1);
        serving.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_large_body_is_as_long_as_it_says() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        tokio::spawn(async move { connection(server, &Site::default()).await });
        client.write_all(b"GET /download HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        let end = memchr::memmem::find(&answer, b"\r\n\r\n").unwrap() + 4;
        assert_eq!(answer.len() - end, LARGE);
    }
}
