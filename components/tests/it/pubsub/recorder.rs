//! A handler that remembers what it was given and answers as told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use components::pubsub::{Handler, Message, Outcome};
use tokio::sync::Semaphore;

use crate::fixtures::eventually;

pub struct Recorder {
    messages: Mutex<Vec<Message>>,
    /// Outcome by data; what is not listed is acknowledged.
    answer: Box<dyn Fn(&Message, usize) -> Outcome + Send + Sync>,
    /// Handlers go on as permits are added; by default there are plenty.
    gate: Semaphore,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Recorder {
    /// Acknowledges everything.
    pub fn new() -> Self {
        Self::answering(|_, _| Outcome::Ack)
    }

    /// Answers what `answer` makes of the message and the number of earlier deliveries of its data.
    pub fn answering(answer: impl Fn(&Message, usize) -> Outcome + Send + Sync + 'static) -> Self {
        Self {
            messages: Mutex::default(),
            answer: Box::new(answer),
            gate: Semaphore::new(Semaphore::MAX_PERMITS / 2),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }

    /// Acknowledges, but only after [`Recorder::release`].
    pub fn blocked() -> Self {
        Self { gate: Semaphore::new(0), ..Self::new() }
    }

    /// Lets `handlers` of the waiting and coming handlers go on.
    pub fn release(&self, handlers: usize) {
        self.gate.add_permits(handlers);
    }

    /// What came so far, in order.
    pub fn texts(&self) -> Vec<String> {
        self.messages().iter().map(|message| String::from_utf8_lossy(&message.data).into_owned()).collect()
    }

    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().expect("not poisoned").clone()
    }

    pub fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }

    /// The most handlers that ran at once.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    /// Waits until at least `count` messages have come.
    pub async fn wait_for(&self, count: usize) {
        eventually(&format!("{count} messages; got {:?}", self.texts()), || async { self.messages().len() >= count })
            .await;
    }
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, message: Message) -> Outcome {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        let earlier = {
            let mut messages = self.messages.lock().expect("not poisoned");
            let earlier = messages.iter().filter(|known| known.data == message.data).count();
            messages.push(message.clone());
            earlier
        };
        self.gate.acquire().await.expect("never closed").forget();
        let outcome = (self.answer)(&message, earlier);
        self.running.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}
