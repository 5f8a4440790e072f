//! One subscription of the in-memory broker: takes its messages in order, and failed ones again later.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::redelivery::{self, Redelivery};
use super::super::{Handler, Message, Outcome, offer};

/// A message that waits for its next attempt.
struct Failed {
    due: Instant,
    message: Message,
    /// Attempts made so far.
    attempts: u32,
}

/// Delivers until the token is cancelled; the message in hand is finished first, what still waits is lost.
pub(super) async fn run(
    component: Arc<str>,
    mut queue: mpsc::Receiver<Message>,
    handler: Arc<dyn Handler>,
    again: Redelivery,
    token: CancellationToken,
) {
    // Sorted by `due`, since every pause is equally long.
    let mut failed: VecDeque<Failed> = VecDeque::new();
    let mut open = true;
    while open || !failed.is_empty() {
        let due = failed.front().map(|failed| failed.due);
        let (message, attempts) = tokio::select! {
            () = token.cancelled() => return,
            received = queue.recv(), if open => match received {
                Some(message) => (message, 0),
                // The broker was closed; what failed before may still get its attempts until the subscription ends.
                None => {
                    open = false;
                    continue;
                }
            },
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => match failed.pop_front() {
                Some(failed) => (failed.message, failed.attempts),
                None => continue,
            },
        };
        let attempts = attempts + 1;
        match offer(&*handler, message.clone()).await {
            Outcome::Ack | Outcome::Abandoned => (),
            Outcome::Failed { error, redeliver: false } => {
                redelivery::log_failure(&component, &message.topic, &error);
            }
            Outcome::Failed { error, redeliver: true } if attempts > again.limit => {
                redelivery::log_drop(&component, &message.topic, attempts, &error);
            }
            Outcome::Failed { error, redeliver: true } => {
                tracing::debug!(
                    "pubsub {component}: a message of topic {} failed and is offered again in {} s: {error}",
                    message.topic,
                    again.pause.as_secs()
                );
                failed.push_back(Failed { due: Instant::now() + again.pause, message, attempts });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;

    use super::*;
    use crate::Metadata;
    use crate::task::lock;

    /// Fails every message whose data is `bad`; remembers what came and when.
    #[derive(Default)]
    struct Picky {
        seen: Mutex<Vec<String>>,
    }

    #[async_trait]
    impl Handler for Picky {
        async fn handle(&self, message: Message) -> Outcome {
            let data = String::from_utf8_lossy(&message.data).into_owned();
            let bad = data == "bad";
            lock(&self.seen).push(data);
            if bad { Outcome::Failed { error: "no".to_owned(), redeliver: true } } else { Outcome::Ack }
        }
    }

    fn message(data: &'static str) -> Message {
        Message {
            topic: "t".to_owned(),
            data: Bytes::from_static(data.as_bytes()),
            metadata: Metadata::new(),
            content_type: None,
        }
    }

    /// Panics at the first message.
    struct Fragile(Picky);

    #[async_trait]
    impl Handler for Fragile {
        async fn handle(&self, message: Message) -> Outcome {
            let outcome = self.0.handle(message).await;
            assert!(lock(&self.0.seen).len() > 1, "as the test wants it");
            outcome
        }
    }

    #[tokio::test]
    async fn a_handler_that_panics_has_failed_its_message() {
        let handler = Arc::new(Fragile(Picky::default()));
        let (sender, receiver) = mpsc::channel(8);
        let again = Redelivery { pause: Duration::from_millis(1), limit: 3 };
        let worker = tokio::spawn(run("ps".into(), receiver, handler.clone(), again, CancellationToken::new()));
        sender.send(message("good")).await.unwrap();
        drop(sender);
        worker.await.unwrap();
        assert_eq!(*lock(&handler.0.seen), ["good", "good"]);
    }

    #[tokio::test]
    async fn a_failed_message_comes_again_behind_later_ones_and_is_dropped_in_the_end() {
        let handler = Arc::new(Picky::default());
        let (sender, receiver) = mpsc::channel(8);
        let again = Redelivery { pause: Duration::from_millis(20), limit: 3 };
        let worker = tokio::spawn(run("ps".into(), receiver, handler.clone(), again, CancellationToken::new()));
        sender.send(message("bad")).await.unwrap();
        sender.send(message("good")).await.unwrap();
        drop(sender);
        // Ends by itself once nothing is left to offer.
        worker.await.unwrap();
        assert_eq!(*lock(&handler.seen), ["bad", "good", "bad", "bad", "bad"]);
    }
}
