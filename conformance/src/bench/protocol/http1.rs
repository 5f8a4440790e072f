//! Messages of HTTP/1.1 as they come in: where each ends, and little more.

use std::mem::take;

/// Which messages come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Requests,
    Responses,
}

/// Finds the ends of messages in what is received. Nothing is kept of a good message's body.
#[derive(Debug)]
pub struct Reader {
    kind: Kind,
    state: State,
    status: u16,
    closes: bool,
    target: Vec<u8>,
    text: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// So many bytes are left.
    Body(u64),
    UntilClose,
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
}

/// How much of a bad answer's body is kept for the report.
const TEXT: usize = 300;

/// What [`Reader::take`] has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// So many of the bytes are used up; the rest must be given again, with more.
    pub bytes: usize,
    /// A message ended with the last of them.
    pub ended: bool,
}

impl Reader {
    /// Nothing has come yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, state: State::Head, status: 0, closes: false, target: Vec::new(), text: Vec::new() }
    }

    /// The status of the response that ended last.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The path of the request that ended last.
    pub fn target(&self) -> &[u8] {
        &self.target
    }

    /// Whether the connection ends with the message that ended last.
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// The beginning of the body of a response that is no success.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }

    /// The connection was closed: whether a message ended by that.
    pub fn close(&mut self) -> bool {
        take(&mut self.state) == State::UntilClose
    }

    /// Takes what it can, up to the end of one message.
    ///
    /// # Errors
    /// This is not HTTP/1.1.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Taken, String> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.state {
                State::Head => match memchr::memmem::find(rest, b"\r\n\r\n") {
                    None => return Ok(Taken { bytes: at, ended: false }),
                    Some(end) => {
                        self.head(&rest[..end])?;
                        at += end + 4;
                        if self.state == State::Body(0) {
                            return Ok(self.end(at));
                        }
                    }
                },
                State::Body(left) => {
                    let count = self.body(rest, left);
                    at += count;
                    self.state = State::Body(left - count as u64);
                    if left == count as u64 {
                        return Ok(self.end(at));
                    }
                    return Ok(Taken { bytes: at, ended: false });
                }
                State::UntilClose => {
                    at += self.body(rest, u64::MAX);
                    return Ok(Taken { bytes: at, ended: false });
                }
                State::ChunkSize => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        return Ok(Taken { bytes: at, ended: false });
                    };
                    at += end + 1;
                    self.state = match chunk_size(&rest[..end])? {
                        0 => State::Trailers,
                        size => State::Chunk(size),
                    };
                }
                State::Chunk(left) => {
                    let count = self.body(rest, left);
                    at += count;
                    self.state = State::Chunk(left - count as u64);
                    if left > count as u64 {
                        return Ok(Taken { bytes: at, ended: false });
                    }
                    self.state = State::ChunkEnd;
                }
                State::ChunkEnd => {
                    if rest.len() < 2 {
                        return Ok(Taken { bytes: at, ended: false });
                    }
                    if !rest.starts_with(b"\r\n") {
                        return Err("a chunk is longer than its size".to_owned());
                    }
                    at += 2;
                    self.state = State::ChunkSize;
                }
                State::Trailers => {
                    let Some(end) = memchr::memchr(b'\n', rest) else {
                        return Ok(Taken { bytes: at, ended: false });
                    };
                    at += end + 1;
                    if rest[..end].is_empty() || rest[..end] == *b"\r" {
                        return Ok(self.end(at));
                    }
                }
            }
        }
    }

    fn end(&mut self, bytes: usize) -> Taken {
        self.state = State::Head;
        Taken { bytes, ended: true }
    }

    /// Passes body bytes by, at most `left`; how many there were.
    fn body(&mut self, bytes: &[u8], left: u64) -> usize {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        if self.kind == Kind::Responses && self.status >= 300 && self.text.len() < TEXT {
            let kept = count.min(TEXT - self.text.len());
            self.text.extend_from_slice(&bytes[..kept]);
        }
        count
    }

    fn head(&mut self, head: &[u8]) -> Result<(), String> {
        let line = memchr::memchr(b'\r', head).unwrap_or(head.len());
        self.first_line(&head[..line])?;
        let (mut length, mut chunked) = (None, false);
        let mut rest = head.get(line + 2..).unwrap_or_default();
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let (line, after) = rest.split_at(end);
            rest = after;
            // Only three names matter, and two first letters.
            if !matches!(line[0] | 0x20, b'c' | b't') {
                continue;
            }
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"content-length") {
                length = Some(number(value, 10).ok_or("a content-length is no number")?);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                chunked = value.eq_ignore_ascii_case(b"chunked");
            } else if name.eq_ignore_ascii_case(b"connection") {
                self.closes = value.eq_ignore_ascii_case(b"close");
            }
        }
        let response = self.kind == Kind::Responses;
        self.state = match (chunked, length) {
            // Informational: the answer is still to come.
            _ if response && self.status < 200 => State::Head,
            _ if response && matches!(self.status, 204 | 304) => State::Body(0),
            (true, _) => State::ChunkSize,
            (false, Some(length)) => State::Body(length),
            (false, None) if response => State::UntilClose,
            (false, None) => State::Body(0),
        };
        Ok(())
    }

    fn first_line(&mut self, line: &[u8]) -> Result<(), String> {
        self.text.clear();
        let wrong = || format!("no HTTP/1.1: {}", String::from_utf8_lossy(&line[..line.len().min(60)]));
        let version;
        if self.kind == Kind::Responses {
            version = line.get(..8).ok_or_else(wrong)?;
            let status = line.get(9..12).and_then(|digits| number(digits, 10)).ok_or_else(wrong)?;
            self.status = u16::try_from(status).map_err(|_| wrong())?;
        } else {
            let mut words = line.split(|byte| *byte == b' ');
            let target = words.nth(1).ok_or_else(wrong)?;
            version = words.next().ok_or_else(wrong)?;
            self.target.clear();
            self.target.extend_from_slice(target);
        }
        if !version.starts_with(b"HTTP/1.") {
            return Err(wrong());
        }
        self.closes = version == b"HTTP/1.0";
        Ok(())
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, String> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    number(size, 16).ok_or_else(|| "the size of a chunk is no number".to_owned())
}

fn number(digits: &[u8], radix: u32) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |sum, digit| {
        let digit = char::from(*digit).to_digit(radix)?;
        sum.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status and text of each response in `bytes`, which come in pieces of `piece` bytes.
    fn responses(bytes: &[u8], piece: usize) -> Result<Vec<(u16, String)>, String> {
        let (mut reader, mut pending, mut found) = (Reader::new(Kind::Responses), Vec::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            pending.extend_from_slice(piece);
            loop {
                let taken = reader.take(&pending)?;
                pending.drain(..taken.bytes);
                if taken.ended {
                    found.push((reader.status(), reader.text()));
                }
                if !taken.ended || pending.is_empty() {
                    break;
                }
            }
        }
        Ok(found)
    }

    #[test]
    fn lengths_chunks_and_empty_answers_end_where_they_end_in_pieces_of_any_size() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\
            HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n\
            HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\nHTT\r\nB\r\nP/1.1 200 O\r\n0\r\na: b\r\n\r\n\
            HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n";
        let wanted = [(200, ""), (204, ""), (500, "HTTP/1.1 200 O"), (304, ""), (200, "")];
        let wanted: Vec<_> = wanted.iter().map(|(status, text)| (*status, (*text).to_owned())).collect();
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(responses(bytes, piece).unwrap(), wanted, "in pieces of {piece}");
        }
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_is_the_end() {
        let mut reader = Reader::new(Kind::Responses);
        let bytes = b"HTTP/1.0 400 Bad\r\n\r\nwhy";
        assert_eq!(reader.take(bytes), Ok(Taken { bytes: bytes.len(), ended: false }));
        assert!(reader.close() && reader.closes() && reader.status() == 400);
        assert_eq!(reader.text(), "why");
        // In the middle of a body it is not.
        reader.take(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nhi").unwrap();
        assert!(!reader.close() && reader.closes());
    }

    #[test]
    fn requests_have_no_body_unless_they_say_so() {
        let mut reader = Reader::new(Kind::Requests);
        let bytes = b"GET /a?b HTTP/1.1\r\nhost: x\r\n\r\nPOST /c HTTP/1.1\r\ncontent-length: 1\r\n\r\n!";
        let first = reader.take(bytes).unwrap();
        assert!(first.ended && reader.target() == b"/a?b");
        assert!(reader.take(&bytes[first.bytes..]).unwrap().ended && reader.target() == b"/c");
    }

    #[test]
    fn what_is_not_http_is_an_error() {
        for bytes in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"] {
            assert!(responses(bytes, 100).is_err());
        }
        let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n";
        assert!(responses(chunk, 100).unwrap_err().contains("chunk"));
    }
}
