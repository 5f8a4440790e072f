//! An application that receives messages and counts them, on a thread of its own.

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::oneshot;

use super::generator::Counted;
use super::responder::{self, Site};

/// How long the last messages of a block may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running application; it ends with its value.
pub struct Receiver {
    /// Where it listens.
    pub port: u16,
    events: Arc<AtomicU64>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Subscribes to a topic of a component.
    ///
    /// # Errors
    /// No port or no thread can be had.
    pub fn start(component: &str, topic: &str) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let subscriptions = json!([{ "pubsubname": component, "topic": topic, "route": "/events" }]).to_string();
        let events = Arc::new(AtomicU64::new(0));
        let site = Arc::new(Site::receiving(&subscriptions, events.clone()));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("receiver".to_owned()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = responder::serve(listener, site) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { port, events, stop: Some(stop), thread: Some(thread) })
    }

    /// Publishes, `each` messages a request, and waits until what was accepted has arrived; then counts messages. What
    /// does not arrive is an error.
    pub fn count(&self, each: u64, publish: impl FnOnce() -> Counted) -> Counted {
        let before = self.events.load(Ordering::Relaxed);
        let begun = Instant::now();
        let mut counted = publish();
        counted.requests *= each;
        let missing = || {
            let arrived = self.events.load(Ordering::Relaxed) - before;
            counted.requests.saturating_sub(arrived)
        };
        let deadline = Instant::now() + PATIENCE;
        while missing() > 0 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let missing = missing();
        counted.fail(missing, || format!("{missing} messages were not delivered in {PATIENCE:?}"));
        counted.elapsed = begun.elapsed();
        counted
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic was printed.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::closed_loop::{self, Work};
    use super::*;

    #[test]
    fn what_arrives_is_counted_and_what_does_not_is_waited_for() {
        let receiver = Receiver::start("broker", "topic").unwrap();
        let work = Work::http1(Method::POST, "/events", "{}".into());
        let time = Duration::from_millis(50);
        let counted = receiver.count(1, || closed_loop::run(&work, receiver.port, time));
        assert!(counted.requests > 0 && counted.errors == 0, "{counted:?}");
        // Accepted by someone, and delivered a little later by another.
        let port = receiver.port;
        let late = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            closed_loop::run(&Work { connections: 1, ..work }, port, time)
        });
        let accepted = Counted { requests: 1, ..Counted::default() };
        assert_eq!(receiver.count(1, || accepted).errors, 0);
        late.join().unwrap();
    }
}
