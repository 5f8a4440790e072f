//! What a sidecar remembers of paths that were asked for once: it must be nothing.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use super::settled;
use crate::app::{App, Settings};
use crate::bench::protocol::http1::{Kind, Reader};
use crate::bench::subject::Subject;

/// Connections at a time.
const CONNECTIONS: u64 = 8;
/// Requests before, to one path of each kind.
const FIRST: u64 = 20_000;

const STORE: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: store }
spec: { type: state.in-memory, version: v1 }
";

/// MB by which a sidecar grows over so many requests, half of them for methods of its application, half for keys of a
/// store, no two the same and none there.
pub fn growth(subject: &Subject, count: u64) -> Option<f64> {
    let builder = subject.sidecar("paths")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let app = App::start(runtime.handle(), Settings::default()).expect("a free port");
    let sidecar = builder.resource(STORE).app(app.port, "http").start();
    let id = &sidecar.app_id;
    let path = |number: u64| match number % 2 {
        0 => format!("/v1.0/invoke/{id}/method/none/{number}"),
        _ => format!("/v1.0/state/store/none-{number}"),
    };
    ask(sidecar.http, FIRST.min(count), |number| path(number % 2));
    let before = settled(sidecar.id());
    ask(sidecar.http, count, path);
    Some(settled(sidecar.id()) - before)
}

/// Asks for the path of each number below `count`.
fn ask(port: u16, count: u64, path: impl Fn(u64) -> String + Sync) {
    std::thread::scope(|scope| {
        for first in 0..CONNECTIONS {
            let path = &path;
            scope.spawn(move || {
                let numbers = (first..count).step_by(usize::try_from(CONNECTIONS).unwrap_or(1));
                let outcome = converse(port, numbers.map(path));
                assert!(outcome.is_ok(), "{outcome:?}");
            });
        }
    });
}

/// One GET after the other on one connection.
fn converse(port: u16, paths: impl Iterator<Item = String>) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(text)?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    let (mut reader, mut pending, mut buffer) = (Reader::new(Kind::Responses), Vec::new(), [0; 4096]);
    for path in paths {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(text)?;
        loop {
            let taken = reader.take(&pending)?;
            pending.drain(..taken.bytes);
            if taken.ended {
                break;
            }
            match stream.read(&mut buffer).map_err(text)? {
                0 => return Err(format!("no answer to {path}")),
                length => pending.extend_from_slice(&buffer[..length]),
            }
        }
        if reader.status() >= 500 {
            return Err(format!("{path}: {} {}", reader.status(), reader.text()));
        }
    }
    Ok(())
}
