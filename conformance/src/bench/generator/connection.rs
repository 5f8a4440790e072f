//! The loop that every connection runs: begin what may begin, write what there is, read what has come.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::counted::Ending;
use super::http1::Http1;
use super::http2::Http2;
use super::schedule::Turn;
use super::target::Socket;
use super::work::Encoded;
use super::{Shared, Target};

/// What is read at once, and so the longest head or frame.
const BUFFER: usize = 64 * 1024;
/// Between two tries to connect.
const PAUSE: Duration = Duration::from_millis(10);

/// The exchanges of one connection, as bytes.
pub(super) trait Protocol: Send {
    /// Whether another exchange may begin.
    fn room(&self) -> bool;
    /// Begins one.
    fn begin(&mut self, intended: Instant);
    /// Bytes to be written.
    fn outgoing(&self) -> &[u8];
    /// So many of them were.
    fn sent(&mut self, count: usize);
    /// Takes bytes that were read, and says how many; the rest is given again with more. Hands on each exchange that
    /// has ended, with its intended begin.
    ///
    /// # Errors
    /// The connection is of no use any more.
    fn receive(&mut self, bytes: &[u8], ended: &mut dyn FnMut(Instant, Ending)) -> Result<usize, String>;
    /// The other side has closed the connection; an exchange may have ended by that.
    fn closed(&mut self, ended: &mut dyn FnMut(Instant, Ending));
    /// Whether no exchange runs.
    fn idle(&self) -> bool;
    /// Whether the connection must not be used for another exchange.
    fn leaving(&self) -> bool;
    /// The exchanges that run, which can no longer end.
    fn give_up(&mut self) -> Vec<Instant>;
}

/// Keeps one connection, making it anew when it breaks, for as long as exchanges may begin.
pub(super) async fn keep(
    number: usize,
    work: Arc<Encoded>,
    target: Target,
    shared: Arc<Shared>,
    mut socket: Option<Socket>,
) {
    while !shared.schedule.over() {
        let connected = match socket.take() {
            Some(socket) => Ok(socket),
            None => target.connect().await,
        };
        let socket = match connected {
            Ok(socket) => socket,
            Err(error) => {
                shared.counted().fail(1, || error);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let protocol: Box<dyn Protocol> = match &*work {
            Encoded::Http1(request) => Box::new(Http1::new(request.clone())),
            Encoded::Http2(request) => Box::new(Http2::new(request.clone())),
        };
        let buffer = vec![0; BUFFER];
        let mut connection = Connection { number, socket, protocol, buffer, filled: 0, shared: &shared };
        let outcome = poll_fn(|context| connection.poll(context)).await;
        let unfinished = connection.protocol.give_up();
        shared.running.fetch_sub(unfinished.len() as u64, Ordering::Relaxed);
        shared.counted().fail(unfinished.len() as u64, || outcome.err().unwrap_or_else(|| "closed".to_owned()));
    }
}

struct Connection<'a> {
    number: usize,
    socket: Socket,
    protocol: Box<dyn Protocol>,
    buffer: Vec<u8>,
    filled: usize,
    shared: &'a Shared,
}

impl Connection<'_> {
    /// Ready when the connection ends or is not needed any more.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), String>> {
        let mut now = Instant::now();
        loop {
            if self.begin(now, context) {
                return Poll::Ready(Ok(()));
            }
            if let Err(error) = self.write(context) {
                return Poll::Ready(Err(error));
            }
            match self.socket.poll_readable(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.to_string())),
                Poll::Ready(Ok(())) => {}
            }
            match self.socket.read(&mut self.buffer[self.filled..]) {
                Ok(0) => {
                    self.ended(Instant::now(), |protocol, _, ended| {
                        protocol.closed(ended);
                        Ok(())
                    })?;
                    return Poll::Ready(Err("the connection was closed".to_owned()));
                }
                Ok(count) => {
                    self.filled += count;
                    now = Instant::now();
                    let used = self.ended(now, |protocol, bytes, ended| protocol.receive(bytes, ended))?;
                    self.buffer.copy_within(used..self.filled, 0);
                    self.filled -= used;
                    if self.filled == BUFFER {
                        return Poll::Ready(Err(format!("a head or frame of more than {BUFFER} bytes")));
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Poll::Ready(Err(error.to_string())),
            }
        }
    }

    /// Begins what may begin; whether the connection is at its end.
    fn begin(&mut self, now: Instant, context: &mut Context<'_>) -> bool {
        while !self.protocol.leaving() {
            if !self.protocol.room() {
                return false;
            }
            match self.shared.schedule.turn(self.number, now, context) {
                Turn::Now(intended) => {
                    self.shared.running.fetch_add(1, Ordering::Relaxed);
                    self.protocol.begin(intended);
                }
                Turn::Later => return false,
                Turn::Over => break,
            }
        }
        self.protocol.idle()
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<(), String> {
        while !self.protocol.outgoing().is_empty() {
            match self.socket.poll_writable(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
                Poll::Ready(Ok(())) => {}
            }
            match self.socket.write(self.protocol.outgoing()) {
                Ok(count) => self.protocol.sent(count),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                // The server may have answered before it closed: what it said is read first.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {
                    return Ok(());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    /// Lets the protocol take what was read, and counts what ended by it.
    fn ended<T>(
        &mut self,
        now: Instant,
        receive: impl FnOnce(&mut dyn Protocol, &[u8], &mut dyn FnMut(Instant, Ending)) -> Result<T, String>,
    ) -> Result<T, String> {
        let (mut counted, running) = (self.shared.counted(), &self.shared.running);
        receive(self.protocol.as_mut(), &self.buffer[..self.filled], &mut |intended, ending| {
            running.fetch_sub(1, Ordering::Relaxed);
            counted.end(intended, now, ending);
        })
    }
}
