//! One exchange at a time over HTTP/1.1.

use std::time::Instant;

use bytes::Bytes;

use super::connection::Protocol;
use super::counted::Ending;
use crate::bench::protocol::http1::{Kind, Reader};

/// A connection.
pub(super) struct Http1 {
    request: Bytes,
    sent: usize,
    begun: Option<Instant>,
    reader: Reader,
    leaving: bool,
}

impl Http1 {
    /// One over which `request`, head and body, will be sent again and again.
    pub fn new(request: Bytes) -> Self {
        let sent = request.len();
        Self { request, sent, begun: None, reader: Reader::new(Kind::Responses), leaving: false }
    }

    fn end(&mut self, ended: &mut dyn FnMut(Instant, Ending)) -> Result<(), String> {
        let begun = self.begun.take().ok_or("an answer to no request")?;
        // What is left of a request that was answered before it was sent cannot be taken back.
        self.leaving = self.reader.closes() || self.sent < self.request.len();
        ended(
            begun,
            match self.reader.status() {
                200..300 => Ending::Good { messages: 0 },
                429 => Ending::Refused(format!("429: {}", self.reader.text())),
                status => Ending::Failed(format!("{status}: {}", self.reader.text())),
            },
        );
        Ok(())
    }
}

impl Protocol for Http1 {
    fn room(&self) -> bool {
        self.begun.is_none()
    }

    fn begin(&mut self, intended: Instant) {
        self.begun = Some(intended);
        self.sent = 0;
    }

    fn outgoing(&self) -> &[u8] {
        &self.request[self.sent..]
    }

    fn sent(&mut self, count: usize) {
        self.sent += count;
    }

    fn receive(&mut self, bytes: &[u8], ended: &mut dyn FnMut(Instant, Ending)) -> Result<usize, String> {
        let taken = self.reader.take(bytes)?;
        if taken.ended {
            self.end(ended)?;
            if taken.bytes < bytes.len() {
                return Err("more than an answer".to_owned());
            }
        }
        Ok(taken.bytes)
    }

    fn closed(&mut self, ended: &mut dyn FnMut(Instant, Ending)) {
        if self.reader.close() && self.begun.is_some() {
            // It cannot fail: there is a request.
            let _ = self.end(ended);
        }
    }

    fn idle(&self) -> bool {
        self.begun.is_none()
    }

    fn leaving(&self) -> bool {
        self.leaving
    }

    fn give_up(&mut self) -> Vec<Instant> {
        self.begun.take().into_iter().collect()
    }
}
