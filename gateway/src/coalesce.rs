//! A connection whose small writes are gathered, and go out together when its owner says so.
//!
//! The HTTP/2 library writes each frame of data to the socket by itself. With many streams on one connection that is a
//! system call and a wake-up of the other side for each of them: half of what a relayed gRPC call costs. Here a write
//! only fills a buffer; whoever polls the connection calls [`Gathered::poll_write_out`] after each poll.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that is gathered.
const CAPACITY: usize = 64 * 1024;
/// A write of so much is not worth copying.
const LARGE: usize = 16 * 1024;

/// A connection. Clones are the same one.
pub struct Gathered<I> {
    inner: Arc<Mutex<Inner<I>>>,
}

struct Inner<I> {
    io: I,
    buffer: Vec<u8>,
    /// How much of the buffer is written.
    written: usize,
    /// A write that failed when nobody asked for its outcome.
    failed: Option<io::Error>,
}

impl<I> Clone for Gathered<I> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> Gathered<I> {
    pub fn new(io: I) -> Self {
        Self { inner: Arc::new(Mutex::new(Inner { io, buffer: Vec::new(), written: 0, failed: None })) }
    }

    /// Writes what was gathered, as far as the socket takes it; the rest wakes the task of `context`. A failure is told
    /// by the next write.
    pub fn poll_write_out(&self, context: &mut Context<'_>) {
        let mut inner = self.lock();
        if let Poll::Ready(Err(error)) = inner.poll_empty(context) {
            inner.failed = Some(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<I>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<I: AsyncWrite + Unpin> Inner<I> {
    /// Ready when nothing is left to be written.
    fn poll_empty(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.buffer.len() {
            let count = ready!(Pin::new(&mut self.io).poll_write(context, &self.buffer[self.written..]))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += count;
        }
        self.written = 0;
        self.buffer.clear();
        // An idle connection keeps no large buffer.
        self.buffer.shrink_to(LARGE);
        Poll::Ready(Ok(()))
    }

    /// Takes `slices`, or writes them at once when they are large.
    fn poll_take(&mut self, context: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Err(error));
        }
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if length >= LARGE {
            ready!(self.poll_empty(context))?;
            return Pin::new(&mut self.io).poll_write_vectored(context, slices);
        }
        if self.buffer.len() + length > CAPACITY {
            ready!(self.poll_empty(context))?;
        }
        slices.iter().for_each(|slice| self.buffer.extend_from_slice(slice));
        Poll::Ready(Ok(length))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Gathered<I> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut inner.io).poll_read(context, buffer)
    }
}

impl<I: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Gathered<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.lock().poll_take(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.lock().poll_take(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The owner sees to it.
        Poll::Ready(self.lock().failed.take().map_or(Ok(()), Err))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        ready!(inner.poll_empty(context))?;
        Pin::new(&mut inner.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn small_writes_go_out_together_and_large_ones_behind_them() {
        let (near, mut far) = tokio::io::duplex(CAPACITY);
        let mut gathered = Gathered::new(near);
        gathered.write_all(b"one ").await.unwrap();
        gathered.write_all(b"two ").await.unwrap();
        gathered.flush().await.unwrap();
        let mut seen = vec![0; CAPACITY];
        assert!(futures::poll!(std::pin::pin!(far.read(&mut seen))).is_pending());
        let owner = gathered.clone();
        poll_fn(|context| {
            owner.poll_write_out(context);
            Poll::Ready(())
        })
        .await;
        assert_eq!(far.read(&mut seen).await.unwrap(), 8);
        assert_eq!(&seen[..8], b"one two ");
        gathered.write_all(b"three ").await.unwrap();
        gathered.write_all(&[b'x'; LARGE]).await.unwrap();
        far.read_exact(&mut seen[..6 + LARGE]).await.unwrap();
        assert!(seen.starts_with(b"three xxx"));
        gathered.write_all(b"end").await.unwrap();
        gathered.shutdown().await.unwrap();
        assert_eq!(far.read(&mut seen).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_reader_that_stands_still_stops_the_writer() {
        let (near, _far) = tokio::io::duplex(1024);
        let mut gathered = Gathered::new(near);
        let mut taken = 0;
        while taken < 4 * CAPACITY {
            let block = [0; 1024];
            match futures::poll!(std::pin::pin!(gathered.write(&block))) {
                Poll::Ready(count) => taken += count.unwrap(),
                Poll::Pending => break,
            }
        }
        assert!(taken <= CAPACITY + 1024, "{taken} bytes wait");
    }
}
