//! P15: what a connection costs that has asked once and is silent since.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Row, settled};
use crate::bench::subject::Subject;

/// Connections that come and go before: what is made once is made by them.
const FIRST: usize = 64;

pub fn rows<'a>() -> Vec<Row<'a>> {
    vec![
        Row::new("P15 memory of an idle connection, of 1000", "KB", 6.0, |subject| cost(subject, 1000)),
        Row::new("P15 memory of an idle connection, of 10000", "KB", 6.0, |subject| cost(subject, 10_000)),
    ]
}

/// KiB a connection.
fn cost(subject: &Subject, count: usize) -> Option<f64> {
    allow_descriptors();
    let sidecar = subject.sidecar("connections")?.start();
    drop(open(sidecar.http, FIRST));
    let before = settled(sidecar.id());
    let kept = open(sidecar.http, count);
    let after = settled(sidecar.id());
    drop(kept);
    Some((after - before) * 1024.0 / count as f64)
}

/// Connections, each of which has had one answer.
fn open(port: u16, count: usize) -> Vec<TcpStream> {
    let one = || -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /v1.0/healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        // 204: the head is all.
        while !answer.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buffer)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                length => answer.extend_from_slice(&buffer[..length]),
            }
        }
        Ok(stream)
    };
    (0..count)
        .map(|number| one().unwrap_or_else(|error| panic!("connection {number} of {count} has no answer: {error}")))
        .collect()
}

/// As many open files as this process may have, and those that it starts.
fn allow_descriptors() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it is not allowed the connections fail, and say so.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
