//! The thread that writes lines, so that a slow reader of the log does not hold up calls.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Lines that may wait. When there are more, whoever logs waits too: lines are never lost.
const QUEUE: usize = 4_096;
/// Lines that are there already are written together, up to this size.
const CHUNK: usize = 64 * 1024;

/// Writes lines in order, from any thread.
pub struct LogWriter {
    queue: SyncSender<Message>,
}

enum Message {
    Line(String),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

impl LogWriter {
    /// Starts the thread; it ends when the writer is dropped.
    pub fn start(output: Box<dyn Write + Send>) -> io::Result<Self> {
        let (queue, receiver) = sync_channel(QUEUE);
        thread::Builder::new().name("log".to_owned()).spawn(move || run(output, &receiver))?;
        Ok(Self { queue })
    }

    /// Queues a line, which ends with a newline.
    pub fn write(&self, line: String) {
        // The thread ends only with the writer, or with a panic, after which there is nowhere to write to.
        let _ = self.queue.send(Message::Line(line));
    }

    /// Waits until every line so far is written.
    pub fn flush(&self) {
        let (done, ended) = sync_channel(1);
        if self.queue.send(Message::Flush(done)).is_ok() {
            // An error means that the thread is gone, and with it the lines.
            let _ = ended.recv();
        }
    }
}

fn run(mut output: Box<dyn Write + Send>, queue: &Receiver<Message>) {
    let mut chunk = String::new();
    while let Ok(first) = queue.recv() {
        let mut asked = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => chunk.push_str(&line),
                Message::Flush(done) => asked.push(done),
            }
            next = if chunk.len() < CHUNK { queue.try_recv().ok() } else { None };
        }
        // A closed pipe must not end the sidecar.
        let _ = output.write_all(chunk.as_bytes());
        let _ = output.flush();
        chunk.clear();
        for done in asked {
            // Who asked may have stopped waiting.
            let _ = done.send(());
        }
    }
}
