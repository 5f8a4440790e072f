//! The sending half of a stream to a component process.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

/// How long a component may take to end its half after we ended ours: until then our last words may be under way.
const FAREWELL: Duration = Duration::from_secs(2);

/// The pauses between streams that break: the first, and the longest of the doubled ones.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(15);

/// Pauses that grow while streams break at once, and start anew after one that lasted.
pub(super) struct Retry {
    next: Duration,
    since: Instant,
}

impl Default for Retry {
    fn default() -> Self {
        Self { next: FIRST_RETRY, since: Instant::now() }
    }
}

impl Retry {
    /// Waits before the next stream; false when the token was cancelled first.
    pub(super) async fn wait(&mut self, token: &CancellationToken) -> bool {
        if self.since.elapsed() > LAST_RETRY {
            self.next = FIRST_RETRY;
        }
        let pause = self.next;
        self.next = (self.next * 2).min(LAST_RETRY);
        tokio::select! {
            () = token.cancelled() => false,
            () = tokio::time::sleep(pause) => {
                self.since = Instant::now();
                true
            }
        }
    }
}

/// What goes to the component: the first message, if there is one, and what is sent later.
///
/// A server need not answer a stream before it has something to say, so the receiver tells instead when the
/// connection has taken the request.
pub(super) fn outgoing<T>(first: Option<T>) -> (mpsc::UnboundedSender<T>, Outgoing<T>, oneshot::Receiver<()>) {
    let (sender, queue) = mpsc::unbounded_channel();
    let (taken, was_taken) = oneshot::channel();
    (sender, Outgoing { first, queue, taken: Some(taken) }, was_taken)
}

/// See [`outgoing`]. Ends when every sender is gone.
pub(super) struct Outgoing<T> {
    first: Option<T>,
    queue: mpsc::UnboundedReceiver<T>,
    taken: Option<oneshot::Sender<()>>,
}

impl<T: Unpin> Stream for Outgoing<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(taken) = self.taken.take() {
            // Whoever does not wait for it any more does not need to know.
            let _ = taken.send(());
        }
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.queue.poll_recv(context),
        }
    }
}

/// Ends our half and waits until the component has ended its own, so that nothing sent before is lost. What still
/// arrives is left unanswered.
pub(super) async fn hang_up<T, R>(sender: mpsc::UnboundedSender<T>, mut replies: Streaming<R>) {
    drop(sender);
    let drain = async { while let Ok(Some(_)) = replies.message().await {} };
    // A component that goes on is cut off.
    let _ = tokio::time::timeout(FAREWELL, drain).await;
}
