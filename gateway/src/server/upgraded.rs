//! A connection that a request takes over (`Upgrade`).

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use crate::body::Body;

/// Both directions of a connection.
pub trait Io: AsyncRead + AsyncWrite + Send {}

impl<I: AsyncRead + AsyncWrite + Send> Io for I {}

/// The connection, once its last answer is written.
pub type Upgraded = Pin<Box<dyn Io>>;

/// Stands in a request that may take its connection over.
#[derive(Clone)]
struct Offered(Arc<Mutex<Option<oneshot::Receiver<Upgraded>>>>);

/// Lets `request` take its connection over, by what is sent to the one who listens.
pub fn offer(request: &mut Request<Body>) -> oneshot::Sender<Upgraded> {
    let (sender, receiver) = oneshot::channel();
    request.extensions_mut().insert(Offered(Arc::new(Mutex::new(Some(receiver)))));
    sender
}

/// Takes over the connection of `request`, after an answer of 101; `None` when it cannot be had.
pub fn take(request: &Request<Body>) -> Option<oneshot::Receiver<Upgraded>> {
    let Offered(offered) = request.extensions().get()?;
    offered.lock().unwrap_or_else(PoisonError::into_inner).take()
}
