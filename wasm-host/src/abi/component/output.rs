//! Standard output and error of a component: lines of the log.

use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::log::{Level, Log};
use crate::wasi::Output;

/// Lines that one call may write to one stream.
const LINES: u32 = 1000;

/// Bytes that are taken at a time.
const CHUNK: usize = 64 << 10;

/// All handles of one stream write to the same lines.
#[derive(Clone)]
pub(super) struct Lines(Arc<Mutex<Output>>);

impl Lines {
    pub fn new(log: Arc<dyn Log>, level: Level) -> Self {
        let written = AtomicU32::new(0);
        Self(Arc::new(Mutex::new(Output::lines(move |line| match written.fetch_add(1, Ordering::Relaxed) {
            count if count < LINES => log.write(level, line),
            LINES => log.write(level, &format!("more than {LINES} lines in one call: the rest is left out")),
            // Far from a second beginning: a call does not write four thousand million lines.
            _ => {}
        }))))
    }

    /// The call is over.
    pub fn finish(&self) {
        self.lines().finish();
    }

    fn lines(&self) -> std::sync::MutexGuard<'_, Output> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.lines().write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.lines().write(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
