//! `--wait`: until a sidecar is ready for calls from its application.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const PERIOD: Duration = Duration::from_millis(100);
const REQUEST: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(60);

/// Asks `/v1.0/healthz/outbound` on localhost until the answer is 204, for a minute at most. Blocks.
pub fn until_ready(http_port: u16) -> bool {
    let until = Instant::now() + LIMIT;
    while Instant::now() < until {
        if is_ready(http_port) {
            return true;
        }
        std::thread::sleep(PERIOD);
    }
    false
}

fn is_ready(http_port: u16) -> bool {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
        .into_iter()
        .any(|address| ask(SocketAddr::new(address, http_port)).is_ok_and(|status| status == 204))
}

/// The status of one answer.
fn ask(address: SocketAddr) -> std::io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, REQUEST)?;
    stream.set_read_timeout(Some(REQUEST))?;
    stream.set_write_timeout(Some(REQUEST))?;
    let request = "GET /v1.0/healthz/outbound HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes())?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    let status = std::str::from_utf8(&head[9..]).ok().and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    #[test]
    fn waits_for_204() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            for status in ["500 Internal Server Error", "204 No Content"] {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = [0; 1024];
                let read = stream.read(&mut request).unwrap();
                assert!(request[..read].starts_with(b"GET /v1.0/healthz/outbound HTTP/1.1\r\n"));
                stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).unwrap();
            }
        });
        assert!(until_ready(port));
        server.join().unwrap();
    }
}
