//! A connection some of whose bytes were read already.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at once while nobody knows yet who takes it.
const CHUNK: usize = 512;

/// A connection behind the bytes that come before its own.
pub struct Prefixed<I> {
    prefix: Bytes,
    io: I,
}

impl<I> Prefixed<I> {
    pub fn new(io: I) -> Self {
        Self { prefix: Bytes::new(), io }
    }

    /// Has `bytes`, which were read, read again. They are copied: what they are a part of may be large.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.prefix = joined(bytes, &self.prefix);
    }
}

fn joined(first: &[u8], second: &[u8]) -> Bytes {
    let mut both = BytesMut::with_capacity(first.len() + second.len());
    both.extend_from_slice(first);
    both.extend_from_slice(second);
    both.freeze()
}

impl<I: AsyncRead + Unpin> Prefixed<I> {
    /// Reads something to look at, which stays to be read; false at the connection's end.
    async fn fill(&mut self) -> io::Result<bool> {
        std::future::poll_fn(|context| {
            // Not kept while waiting: an idle connection costs no buffer.
            let mut chunk = [0; CHUNK];
            let mut buffer = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.io).poll_read(context, &mut buffer))?;
            let read = buffer.filled();
            self.prefix = joined(&self.prefix, read);
            Poll::Ready(Ok(!read.is_empty()))
        })
        .await
    }

    /// Waits until there is something to read; false at the connection's end, and when it is broken.
    pub async fn has_more(&mut self) -> bool {
        !self.prefix.is_empty() || self.fill().await.unwrap_or(false)
    }

    /// Whether the first bytes are these; reads no more than it needs to know.
    ///
    /// # Errors
    /// The connection is broken. An end is none.
    pub async fn begins_with(&mut self, text: &[u8]) -> io::Result<bool> {
        loop {
            let common = self.prefix.len().min(text.len());
            if self.prefix[..common] != text[..common] {
                return Ok(false);
            }
            if common == text.len() {
                return Ok(true);
            }
            if !self.fill().await? {
                return Ok(false);
            }
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Prefixed<I> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.prefix.is_empty() {
            return Pin::new(&mut self.io).poll_read(context, out);
        }
        let length = self.prefix.len().min(out.remaining());
        out.put_slice(&self.prefix[..length]);
        self.prefix.advance(length);
        if self.prefix.is_empty() {
            // Also gives back what it was a part of.
            self.prefix = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Prefixed<I> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_was_looked_at_is_read_all_the_same() {
        for (sent, is_it) in [("PRI * and more", true), ("PRI", false), ("GET / HTTP/1.1", false), ("", false)] {
            let (mut client, server) = tokio::io::duplex(64);
            client.write_all(sent.as_bytes()).await.unwrap();
            client.shutdown().await.unwrap();
            let mut connection = Prefixed::new(server);
            assert_eq!(connection.begins_with(b"PRI * ").await.unwrap(), is_it, "{sent}");
            assert_eq!(connection.has_more().await, !sent.is_empty(), "{sent}");
            let mut read = String::new();
            connection.read_to_string(&mut read).await.unwrap();
            assert_eq!(read, sent);
        }
    }
}
