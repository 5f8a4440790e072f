//! One request over a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// Sends a request and reads its whole answer: status, and the body as JSON or as text.
///
/// # Panics
///
/// When nothing answers within a minute.
pub fn ask(socket: &Path, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let answer = String::from_utf8_lossy(&read(open(socket, method, path, body))).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    (status, serde_json::from_str(body).unwrap_or_else(|_| Value::from(body)))
}

/// Sends a request; its answer is the reader's.
///
/// # Panics
///
/// When nobody listens.
pub fn open(socket: &Path, method: &str, path: &str, body: &[u8]) -> UnixStream {
    let mut stream = UnixStream::connect(socket).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    // A server that refuses a body may hang up before all of it is sent; its answer says why.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
    stream
}

/// Everything until the end.
fn read(mut stream: UnixStream) -> Vec<u8> {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    answer
}
