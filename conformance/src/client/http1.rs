//! HTTP/1 as bytes: what is sent is the caller's, byte for byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// One answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Lower-cased names, in the order of the wire.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

/// How an exchange ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server closed the connection.
    Closed,
    /// The wanted answers are there; the connection was still open.
    Enough,
    /// Neither an answer nor an end within the patience.
    Silence,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub answers: Vec<Answer>,
    pub end: End,
    /// Bytes that are no whole answer.
    pub rest: Vec<u8>,
}

/// How to converse.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Stop after so many answers; `None` reads until the server closes.
    pub answers: Option<usize>,
    /// Close our sending side after the bytes.
    pub half_close: bool,
    pub patience: Duration,
}

/// Sends `bytes` to a port of the loopback interface and reads the answers.
///
/// # Errors
///
/// The connection cannot be made, or fails in another way than being closed.
pub fn exchange(port: u16, bytes: &[u8], plan: Plan) -> std::io::Result<Exchange> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    let deadline = Instant::now() + plan.patience;
    let mut reader = stream.try_clone()?;
    // A server may answer and close before it has read everything: then the rest cannot be sent, which is no failure.
    let sender = std::thread::spawn({
        let bytes = bytes.to_vec();
        move || {
            let sent = stream.write_all(&bytes);
            if plan.half_close {
                // The server may have closed already.
                let _ = stream.shutdown(Shutdown::Write);
            }
            sent
        }
    });
    let mut received = Vec::new();
    let end = loop {
        if plan.answers.is_some_and(|wanted| parse_all(&received, false).0.len() >= wanted) {
            break End::Enough;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break End::Silence;
        }
        reader.set_read_timeout(Some(left))?;
        let mut buffer = [0; 16384];
        match reader.read(&mut buffer) {
            Ok(0) => break End::Closed,
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break End::Silence,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                break End::Closed;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    // Unblocks the sender, should it still be at it.
    let _ = reader.shutdown(Shutdown::Both);
    let _ = sender.join();
    let (answers, used) = parse_all(&received, end == End::Closed);
    Ok(Exchange { answers, end, rest: received.split_off(used) })
}

/// The whole answers at the beginning of `bytes`, and how many bytes they are.
fn parse_all(bytes: &[u8], closed: bool) -> (Vec<Answer>, usize) {
    let mut answers = Vec::new();
    let mut used = 0;
    while let Some((answer, length)) = parse(&bytes[used..], closed) {
        used += length;
        // Informational answers are not the answer.
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    (answers, used)
}

fn parse(bytes: &[u8], closed: bool) -> Option<(Answer, usize)> {
    let end = find(bytes, b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    let start = end + 4;
    let rest = &bytes[start..];
    let length = if status < 200 || status == 204 || status == 304 {
        0
    } else if answer.header("transfer-encoding").is_some_and(|coding| coding.contains("chunked")) {
        let (body, length) = unchunk(rest)?;
        answer.body = body;
        return Some((answer, start + length));
    } else if let Some(length) = answer.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        length
    } else if closed {
        rest.len()
    } else {
        return None;
    };
    answer.body = rest.get(..length)?.to_vec();
    Some((answer, start + length))
}

/// A chunked body and its length on the wire, when it is whole.
fn unchunk(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = std::str::from_utf8(&bytes[at..at + line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        at += line + 2;
        if size == 0 {
            // Trailers end with an empty line, as no trailers do.
            let end = if bytes[at..].starts_with(b"\r\n") { 2 } else { find(&bytes[at..], b"\r\n\r\n")? + 4 };
            return Some((body, at + end));
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_their_length_says() {
        let bytes =
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No\r\n\r\n";
        let (answers, used) = parse_all(bytes, false);
        assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 204]);
        assert_eq!((answers[0].body.as_slice(), used), (&b"hi"[..], bytes.len()));
    }

    #[test]
    fn chunks_are_joined_and_half_an_answer_is_none() {
        let bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n";
        assert_eq!(parse_all(bytes, false).0[0].body, b"hi!");
        assert!(parse_all(&bytes[..bytes.len() - 2], true).0.is_empty());
    }

    #[test]
    fn without_a_length_the_end_of_the_connection_ends_the_body() {
        let bytes = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request";
        assert!(parse_all(bytes, false).0.is_empty());
        assert_eq!(parse_all(bytes, true).0[0].body, b"400 Bad Request");
    }
}
