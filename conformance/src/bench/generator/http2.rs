//! Several exchanges at a time over HTTP/2, with or without gRPC.
//!
//! The header block of a request is always the same bytes: the dynamic table is not used, in neither direction.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use super::connection::Protocol;
use super::counted::Ending;
use super::work;
use crate::bench::protocol::frame::{self, Frame};
use crate::bench::protocol::hpack;

/// What a stream may send us before we take note.
const STREAM_WINDOW: u32 = 1 << 20;
/// What all of them may.
const CONNECTION_WINDOW: u32 = 1 << 22;
/// Streams of one connection, as long as the server has not said how many.
const PEERS: usize = 100;
/// The last number that begins an exchange; a connection that comes so far is replaced.
const LAST: u32 = 0x7fff_ff00;
/// gRPC's `RESOURCE_EXHAUSTED`.
const EXHAUSTED: u32 = 8;

/// A connection.
pub(super) struct Http2 {
    request: work::Http2,
    out: Vec<u8>,
    written: usize,
    streams: HashMap<u32, Stream>,
    /// Streams that have something to send and no window for it.
    blocked: VecDeque<u32>,
    next: u32,
    peers: usize,
    /// What we may send: on the connection, and on a new stream.
    window: i64,
    first_window: i64,
    /// What came since the connection's window was opened last.
    received: u32,
    headers: hpack::Decoder,
    /// The parts of a block that comes in several frames: its stream, and whether the stream ends with it.
    parts: (Vec<u8>, u32, bool),
    leaving: bool,
}

struct Stream {
    intended: Instant,
    sent: usize,
    window: i64,
    received: u32,
    answer: Answer,
}

/// What is known of an answer.
#[derive(Default)]
struct Answer {
    status: u16,
    grpc: Option<u32>,
    text: String,
    messages: u64,
    /// Of the message that comes: how many bytes of its prefix there are, what they say, and what is missing.
    prefix: u8,
    length: u32,
}

impl Http2 {
    pub fn new(request: work::Http2) -> Self {
        let mut out = frame::PREFACE.to_vec();
        let settings =
            [(frame::HEADER_TABLE_SIZE, 0), (frame::ENABLE_PUSH, 0), (frame::INITIAL_WINDOW_SIZE, STREAM_WINDOW)];
        frame::settings(&settings, &mut out);
        open(0, CONNECTION_WINDOW - frame::WINDOW as u32, &mut out);
        Self {
            request,
            out,
            written: 0,
            streams: HashMap::new(),
            blocked: VecDeque::new(),
            next: 1,
            peers: PEERS,
            window: frame::WINDOW,
            first_window: frame::WINDOW,
            received: 0,
            headers: hpack::Decoder::default(),
            parts: (Vec::new(), 0, false),
            leaving: false,
        }
    }

    /// Sends what the windows allow of a stream's body.
    fn send(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let body = &self.request.body;
        while stream.sent < body.len() {
            let window = usize::try_from(self.window.min(stream.window)).unwrap_or(0);
            let length = (body.len() - stream.sent).min(frame::MOST).min(window);
            if length == 0 {
                self.blocked.push_back(id);
                return;
            }
            let data = &body[stream.sent..stream.sent + length];
            stream.sent += length;
            stream.window -= length as i64;
            self.window -= length as i64;
            let flags = if stream.sent == body.len() { frame::END_STREAM } else { 0 };
            frame::write(frame::DATA, flags, id, data, &mut self.out);
        }
    }

    fn unblock(&mut self) {
        for _ in 0..self.blocked.len() {
            if let Some(id) = self.blocked.pop_front() {
                self.send(id);
            }
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, ended: &mut dyn FnMut(Instant, Ending)) -> Result<(), String> {
        match frame.kind {
            frame::DATA => {
                self.data(frame)?;
                if frame.flags & frame::END_STREAM != 0 {
                    self.end(frame.stream, ended);
                }
            }
            frame::HEADERS | frame::CONTINUATION => {
                if frame.kind == frame::HEADERS {
                    self.parts =
                        (std::mem::take(&mut self.parts.0), frame.stream, frame.flags & frame::END_STREAM != 0);
                    self.parts.0.clear();
                    self.parts.0.extend_from_slice(frame.content()?);
                } else {
                    self.parts.0.extend_from_slice(frame.payload);
                }
                if frame.flags & frame::END_HEADERS != 0 {
                    self.block()?;
                    if self.parts.2 {
                        self.end(self.parts.1, ended);
                    }
                }
            }
            frame::SETTINGS if frame.flags & frame::ACK == 0 => {
                for (name, value) in frame.settings() {
                    match name {
                        frame::MAX_CONCURRENT_STREAMS => self.peers = usize::try_from(value).unwrap_or(usize::MAX),
                        frame::INITIAL_WINDOW_SIZE => {
                            let more = i64::from(value) - self.first_window;
                            self.first_window += more;
                            self.streams.values_mut().for_each(|stream| stream.window += more);
                        }
                        _ => {}
                    }
                }
                frame::write(frame::SETTINGS, frame::ACK, 0, &[], &mut self.out);
                self.unblock();
            }
            frame::PING if frame.flags & frame::ACK == 0 => {
                frame::write(frame::PING, frame::ACK, 0, frame.payload, &mut self.out);
            }
            frame::WINDOW_UPDATE => {
                let more = i64::from(frame.number(0));
                if frame.stream == 0 {
                    self.window += more;
                } else if let Some(stream) = self.streams.get_mut(&frame.stream) {
                    stream.window += more;
                }
                self.unblock();
            }
            frame::RST_STREAM => {
                // Servers also stop the request of an answer that has ended: then there is no stream any more.
                if let Some(stream) = self.streams.remove(&frame.stream) {
                    let reason = format!("the stream was reset with code {}", frame.number(0));
                    ended(stream.intended, Ending::Failed(reason));
                }
            }
            frame::GOAWAY => {
                self.leaving = true;
                if self.streams.keys().any(|id| *id > frame.number(0)) {
                    return Err(format!("the server goes away with code {}", frame.number(4)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn data(&mut self, frame: &Frame<'_>) -> Result<(), String> {
        // Padding counts, too.
        let length = u32::try_from(frame.payload.len()).unwrap_or(0);
        self.received += length;
        if self.received >= CONNECTION_WINDOW / 2 {
            open(0, std::mem::take(&mut self.received), &mut self.out);
        }
        let Some(stream) = self.streams.get_mut(&frame.stream) else { return Ok(()) };
        stream.received += length;
        if stream.received >= STREAM_WINDOW / 2 && frame.flags & frame::END_STREAM == 0 {
            open(frame.stream, std::mem::take(&mut stream.received), &mut self.out);
        }
        let content = frame.content()?;
        if self.request.grpc {
            stream.answer.messages(content);
        }
        if !(200..300).contains(&stream.answer.status) && stream.answer.text.len() < 300 {
            stream.answer.text.push_str(&String::from_utf8_lossy(content));
        }
        Ok(())
    }

    /// A whole header block has come.
    fn block(&mut self) -> Result<(), String> {
        let (block, id, _) = &self.parts;
        let mut ignored = Answer::default();
        let answer = self.streams.get_mut(id).map_or(&mut ignored, |stream| &mut stream.answer);
        let number = |value: &[u8]| std::str::from_utf8(value).ok().and_then(|text| text.parse::<u32>().ok());
        self.headers.decode(block, |name, value| match name {
            b":status" => answer.status = number(value).and_then(|code| u16::try_from(code).ok()).unwrap_or(0),
            b"grpc-status" => answer.grpc = number(value),
            b"grpc-message" => answer.text = String::from_utf8_lossy(value).into_owned(),
            _ => {}
        })
    }

    fn end(&mut self, id: u32, ended: &mut dyn FnMut(Instant, Ending)) {
        if let Some(stream) = self.streams.remove(&id) {
            ended(stream.intended, stream.answer.ending(self.request.grpc));
        }
    }
}

impl Answer {
    /// Counts the messages in data.
    fn messages(&mut self, mut data: &[u8]) {
        while let Some((first, rest)) = data.split_first() {
            if self.prefix < 5 {
                // The first byte says whether the message is compressed; its length follows.
                self.length = if self.prefix == 0 { 0 } else { self.length << 8 | u32::from(*first) };
                self.prefix += 1;
                data = rest;
            } else {
                let count = data.len().min(self.length as usize);
                self.length -= count as u32;
                data = &data[count..];
            }
            if self.prefix == 5 && self.length == 0 {
                self.messages += 1;
                self.prefix = 0;
            }
        }
    }

    fn ending(self, grpc: bool) -> Ending {
        match (self.status, self.grpc) {
            (200..300, None) if !grpc => Ending::Good { messages: 0 },
            (200..300, Some(0)) if self.prefix == 0 => Ending::Good { messages: self.messages },
            (200..300, Some(0)) => Ending::Failed("the answer ends within a message".to_owned()),
            (200..300, None) => Ending::Failed("an answer without grpc-status".to_owned()),
            (200..300, Some(EXHAUSTED)) => Ending::Refused(format!("gRPC status {EXHAUSTED}: {}", self.text)),
            (200..300, Some(code)) => Ending::Failed(format!("gRPC status {code}: {}", self.text)),
            (429, _) => Ending::Refused(format!("429: {}", self.text)),
            (status, _) => Ending::Failed(format!("{status}: {}", self.text)),
        }
    }
}

/// Lets the peer send so much more.
fn open(stream: u32, more: u32, out: &mut Vec<u8>) {
    frame::write(frame::WINDOW_UPDATE, 0, stream, &more.to_be_bytes(), out);
}

impl Protocol for Http2 {
    fn room(&self) -> bool {
        self.streams.len() < self.request.streams.min(self.peers)
    }

    fn begin(&mut self, intended: Instant) {
        let (id, block) = (self.next, &self.request.block);
        self.next += 2;
        self.leaving |= self.next > LAST;
        let last = if self.request.body.is_empty() { frame::END_STREAM } else { 0 };
        frame::write(frame::HEADERS, frame::END_HEADERS | last, id, block, &mut self.out);
        let stream = Stream { intended, sent: 0, window: self.first_window, received: 0, answer: Answer::default() };
        self.streams.insert(id, stream);
        self.send(id);
    }

    fn outgoing(&self) -> &[u8] {
        &self.out[self.written..]
    }

    fn sent(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    fn receive(&mut self, bytes: &[u8], ended: &mut dyn FnMut(Instant, Ending)) -> Result<usize, String> {
        let mut used = 0;
        while let Some((frame, length)) = Frame::read(&bytes[used..])? {
            self.frame(&frame, ended)?;
            used += length;
        }
        Ok(used)
    }

    fn closed(&mut self, _ended: &mut dyn FnMut(Instant, Ending)) {}

    fn idle(&self) -> bool {
        self.streams.is_empty()
    }

    fn leaving(&self) -> bool {
        self.leaving
    }

    fn give_up(&mut self) -> Vec<Instant> {
        self.streams.drain().map(|(_, stream)| stream.intended).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let data = b"\0\0\0\0\x03abc\0\0\0\0\0\0\0\0\0\x01z";
        for piece in [1, 2, 4, 100] {
            let mut answer = Answer::default();
            data.chunks(piece).for_each(|piece| answer.messages(piece));
            assert_eq!((answer.messages, answer.prefix), (3, 0), "in pieces of {piece}");
        }
        let mut answer = Answer { status: 200, grpc: Some(0), ..Answer::default() };
        answer.messages(&data[..7]);
        assert!(matches!(answer.ending(true), Ending::Failed(_)));
    }
}
