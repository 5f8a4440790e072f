//! What a function's guests write, for those who follow it while it runs.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use crate::body::{Body, BodyError};

/// Lines that a reader may be behind; of more the oldest are lost to it.
const BEHIND: usize = 256;

/// Bytes of a line; what is longer is cut.
const LONGEST: usize = 4 << 10;

/// Where the lines of one function go. Clones are the same place; it ends with the last one.
#[derive(Clone)]
pub struct Lines {
    sender: broadcast::Sender<Arc<str>>,
    /// Where the lines wait for whoever is the first to follow.
    first: Arc<Mutex<Option<broadcast::Receiver<Arc<str>>>>>,
}

/// The same, for those who write: it keeps nothing alive.
#[derive(Clone)]
pub struct Writer(broadcast::WeakSender<Arc<str>>);

impl Lines {
    /// `is_awaited`: somebody will follow, and is to have the lines from the begin.
    pub fn new(is_awaited: bool) -> Self {
        let sender = broadcast::Sender::new(BEHIND);
        let first = is_awaited.then(|| sender.subscribe());
        Self { sender, first: Arc::new(Mutex::new(first)) }
    }

    pub fn writer(&self) -> Writer {
        Writer(self.sender.downgrade())
    }

    /// The lines from now on, until the function is removed or `drain` turns true.
    pub fn follow(&self, drain: watch::Receiver<bool>) -> Body {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        let lines = first.unwrap_or_else(|| self.sender.subscribe());
        let lines = stream::unfold((lines, drain), |(mut lines, mut drain)| async move {
            let line = tokio::select! {
                line = lines.recv() => line,
                _ = drain.wait_for(|draining| *draining) => return None,
            };
            let text = match line {
                Ok(line) => format!("{line}\n"),
                Err(RecvError::Lagged(number)) => format!("({number} lines came faster than they were read: lost)\n"),
                Err(RecvError::Closed) => return None,
            };
            Some((Ok::<_, BodyError>(Frame::data(Bytes::from(text))), (lines, drain)))
        });
        Body::stream(StreamBody::new(lines))
    }
}

impl Writer {
    /// Whether anybody reads.
    pub fn is_followed(&self) -> bool {
        self.0.upgrade().is_some_and(|lines| lines.receiver_count() > 0)
    }

    pub fn write(&self, line: &str) {
        if let Some(lines) = self.0.upgrade().filter(|lines| lines.receiver_count() > 0) {
            // The last reader may have gone just now.
            let _ = lines.send(Arc::from(&line[..line.floor_char_boundary(LONGEST)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::collect;

    #[tokio::test]
    async fn who_follows_gets_the_lines_from_then_on_until_the_function_ends() {
        let (lines, drain) = (Lines::new(false), watch::Sender::new(false));
        let writer = lines.writer();
        writer.write("before");
        assert!(!writer.is_followed());
        let body = lines.follow(drain.subscribe());
        assert!(writer.is_followed());
        writer.write("one");
        writer.write(&"é".repeat(LONGEST));
        drop(lines);
        writer.write("after");
        let text = collect(body, 0).await.unwrap();
        assert_eq!(text, format!("one\n{}\n", "é".repeat(LONGEST / 2)));
    }

    #[tokio::test]
    async fn a_slow_reader_loses_the_oldest_lines_and_is_told_so() {
        let (lines, drain) = (Lines::new(false), watch::Sender::new(false));
        let body = lines.follow(drain.subscribe());
        for number in 0..BEHIND + 3 {
            lines.writer().write(&number.to_string());
        }
        drop(lines);
        let text = String::from_utf8(collect(body, 0).await.unwrap().to_vec()).unwrap();
        assert!(text.starts_with("(3 lines came faster than they were read: lost)\n3\n4\n"), "{text}");
        assert_eq!(text.lines().count(), BEHIND + 1);
    }

    #[tokio::test]
    async fn who_was_awaited_has_the_lines_from_the_begin() {
        let (lines, drain) = (Lines::new(true), watch::Sender::new(false));
        lines.writer().write("first");
        let (awaited, later) = (lines.follow(drain.subscribe()), lines.follow(drain.subscribe()));
        lines.writer().write("second");
        drop(lines);
        assert_eq!(collect(awaited, 0).await.unwrap(), "first\nsecond\n");
        assert_eq!(collect(later, 0).await.unwrap(), "second\n");
    }

    #[tokio::test]
    async fn a_drain_ends_those_who_follow() {
        let (lines, drain) = (Lines::new(false), watch::Sender::new(false));
        let body = lines.follow(drain.subscribe());
        drain.send_replace(true);
        assert_eq!(collect(body, 0).await.unwrap(), "");
    }
}
