//! One HTTP/1.1 connection, moved by whoever uses it.
//!
//! hyper wants somebody to poll a connection beside the exchange on it. A task of its own would do; but then each
//! exchange goes to and fro between two tasks, some times a request. Here the exchange polls the connection itself, as
//! does the reader of the response's body. Only an upload that goes on behind the response gets a task.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{ClientError, Io};
use crate::body::{Body, BodyError};

/// The most that a response's head may have.
const READ_BUFFER: usize = 64 * 1024;

/// The most that is read at once: some such portions of each response wait on their way to a slow reader.
const PORTION: usize = 16 * 1024;

type Driver = http1::Connection<TokioIo<Portions>, Body>;

/// An open connection.
pub struct Connection {
    sender: SendRequest<Body>,
    /// `None` when a task has it, or when it has ended.
    driver: Option<Box<Driver>>,
}

impl Connection {
    pub async fn open(io: Io) -> Result<Self, ClientError> {
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(READ_BUFFER)
            .handshake::<_, Body>(TokioIo::new(Portions(io)))
            .await
            .map_err(|error| ClientError::from_hyper(&error).unwritten())?;
        Ok(Self { sender, driver: Some(Box::new(driver)) })
    }

    /// Whether a request may be sent now; looks for an end that came while nobody was looking.
    pub fn is_usable(&mut self) -> bool {
        drive(&mut self.driver, &mut Context::from_waker(Waker::noop()));
        self.sender.is_ready() && !self.sender.is_closed()
    }

    /// One exchange, up to the response's head. When it is given up, the connection ends with it.
    pub async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, TrySendError<Request<Body>>> {
        let (request, uploaded) = watched(request);
        let mut exchange = pin!(self.sender.try_send_request(request));
        let response = poll_fn(|context| {
            drive(&mut self.driver, context);
            exchange.as_mut().poll(context)
        })
        .await?;
        if !uploaded.is_none_or(|uploaded| uploaded.load(Ordering::Acquire))
            && let Some(driver) = self.driver.take()
        {
            tokio::spawn(driver);
        }
        Ok(response)
    }
}

/// Moves what can be moved. What it wakes is the task of `context`.
fn drive(driver: &mut Option<Box<Driver>>, context: &mut Context<'_>) {
    if let Some(running) = driver
        && Pin::new(running).poll(context).is_ready()
    {
        // Failures are told to the exchange.
        *driver = None;
    }
}

/// Tells when a request's body has been taken to its end, or is wanted no more; `None` for one that is at hand.
fn watched(request: Request<Body>) -> (Request<Body>, Option<Arc<AtomicBool>>) {
    struct Dropped(Arc<AtomicBool>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    if request.body().is_at_hand() {
        return (request, None);
    }
    let uploaded = Arc::new(AtomicBool::new(false));
    let guard = Dropped(uploaded.clone());
    (request.map(|body| body.with_guard(guard)), Some(uploaded))
}

/// Takes a connection that is ready for another exchange.
pub trait GiveBack: Send + Unpin + 'static {
    fn give_back(self, connection: Connection);
}

/// The response's body, which holds the connection until its end.
pub struct Download<G: GiveBack> {
    body: Incoming,
    held: Option<(Connection, G)>,
}

impl<G: GiveBack> Download<G> {
    pub fn new(body: Incoming, connection: Connection, give_back: G) -> Self {
        let mut download = Self { body, held: Some((connection, give_back)) };
        if download.body.is_end_stream() {
            download.release(&mut Context::from_waker(Waker::noop()));
        }
        download
    }

    /// Gives the connection back when it can be used again; else it ends.
    fn release(&mut self, context: &mut Context<'_>) {
        let Some((mut connection, give_back)) = self.held.take() else { return };
        drive(&mut connection.driver, context);
        if connection.sender.is_ready() && !connection.sender.is_closed() {
            give_back.give_back(connection);
        }
    }
}

impl<G: GiveBack> http_body::Body for Download<G> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(context);
        if polled.is_pending()
            && let Some((connection, _)) = &mut self.held
        {
            drive(&mut connection.driver, context);
            polled = Pin::new(&mut self.body).poll_frame(context);
        }
        if !matches!(polled, Poll::Pending)
            && (self.body.is_end_stream() || !matches!(polled, Poll::Ready(Some(Ok(_)))))
        {
            self.release(context);
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that is read in portions.
struct Portions(Io);

impl AsyncRead for Portions {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() <= PORTION {
            return Pin::new(&mut self.0).poll_read(context, buffer);
        }
        let mut portion = ReadBuf::new(buffer.initialize_unfilled_to(PORTION));
        ready!(Pin::new(&mut self.0).poll_read(context, &mut portion))?;
        let length = portion.filled().len();
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Portions {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
