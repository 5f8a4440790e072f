//! Binding addresses: TCP with retries as daprd 1.18 does (100 to 500 ms apart, 10 s in all), or a Unix socket.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

/// Why nothing listens.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error("could not listen on {address}: {source}")]
    Tcp { address: String, source: io::Error },
    #[error("could not listen on the Unix socket {path}: {source}")]
    Unix { path: String, source: io::Error },
}

/// A bound address. A Unix socket's file goes with it.
pub enum Bound {
    Tcp(TcpListener),
    Unix(UnixListener, RemoveOnDrop),
}

/// Removes a socket file when the listener ends.
pub struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Bound {
    /// The port, 0 for a Unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Self::Tcp(listener) => listener.local_addr().map_or(0, |address| address.port()),
            Self::Unix(..) => 0,
        }
    }
}

/// Binds `host:port`; an empty host means all interfaces, a bracketed one is IPv6. A taken port is tried for 10 s: the
/// process that had it may be about to go.
pub async fn bind_tcp(host: &str, port: u16) -> Result<Bound, ListenError> {
    let address = format!("{host}:{port}");
    let failed = |source| ListenError::Tcp { address: address.clone(), source };
    let mut wait = Duration::from_millis(100);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        match bind_once(host, port) {
            Ok(listener) => return TcpListener::from_std(listener).map(Bound::Tcp).map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tokio::time::Instant::now() + wait < deadline => {
                tokio::time::sleep(wait).await;
                wait = (wait * 3 / 2).min(Duration::from_millis(500));
            }
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Ports that are bound already, so that nothing else takes them between the choice of their number and their use.
#[derive(Debug, Default)]
pub struct Reserved(Vec<std::net::TcpListener>);

impl Reserved {
    /// Binds `preferred` of the loopback interface, or any port when it is taken. Gives the port.
    ///
    /// # Errors
    /// No port can be had.
    pub fn reserve(&mut self, preferred: u16) -> io::Result<u16> {
        let host = std::net::Ipv4Addr::LOCALHOST.to_string();
        let listener = bind_once(&host, preferred).or_else(|_| bind_once(&host, 0))?;
        let port = listener.local_addr()?.port();
        self.0.push(listener);
        Ok(port)
    }

    /// The listener of `host:port` when it is held here; otherwise it is bound now, as [`bind_tcp`] does.
    pub async fn bind(&mut self, host: &str, port: u16) -> Result<Bound, ListenError> {
        let held = self.0.iter().position(|listener| {
            listener.local_addr().is_ok_and(|address| address.port() == port && address.ip().to_string() == host)
        });
        let Some(held) = held else { return bind_tcp(host, port).await };
        TcpListener::from_std(self.0.swap_remove(held))
            .map(Bound::Tcp)
            .map_err(|source| ListenError::Tcp { address: format!("{host}:{port}"), source })
    }
}

/// Binds `host:port` now or not at all.
pub fn try_bind_tcp(host: &str, port: u16) -> Result<Bound, ListenError> {
    let failed = |source| ListenError::Tcp { address: format!("{host}:{port}"), source };
    TcpListener::from_std(bind_once(host, port).map_err(failed)?).map(Bound::Tcp).map_err(failed)
}

fn bind_once(host: &str, port: u16) -> io::Result<std::net::TcpListener> {
    if host.is_empty() {
        // All interfaces of both families, as Go does; a machine without IPv6 gets IPv4.
        return bind_address(([0u16; 8], port).into()).or_else(|_| bind_address(([0u8; 4], port).into()));
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "the host has no address");
    for address in (bare, port).to_socket_addrs()? {
        match bind_address(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn bind_address(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restarted sidecar takes its port again although old connections linger.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

/// Binds a Unix socket; a file that nobody listens on any more is replaced.
pub fn bind_unix(path: &Path) -> Result<Bound, ListenError> {
    let failed = |source| ListenError::Unix { path: path.display().to_string(), source };
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    Ok(Bound::Unix(listener, RemoveOnDrop(path.to_owned())))
}

/// The same for a socket that only this user can connect to. Its folder is made when there is none.
pub fn bind_private_unix(path: &Path) -> Result<Bound, ListenError> {
    let failed = |source| ListenError::Unix { path: path.display().to_string(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    }
    if path.exists() && std::os::unix::net::UnixStream::connect(path).is_err() {
        std::fs::remove_file(path).map_err(failed)?;
    }
    let bind = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        // The file gets the socket's mode: there is no moment at which others could connect.
        nix::sys::stat::fchmod(&socket, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(128)?;
        UnixListener::from_std(socket.into())
    };
    Ok(Bound::Unix(bind().map_err(failed)?, RemoveOnDrop(path.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_an_error_and_a_free_one_is_kept() {
        let first = bind_tcp("127.0.0.1", 0).await.unwrap();
        let error = bind_once("127.0.0.1", first.port()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[tokio::test]
    async fn a_private_socket_is_this_users_alone_and_takes_the_place_of_a_dead_one() {
        use std::os::unix::fs::MetadataExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run/admin.sock");
        let bound = bind_private_unix(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let taken = bind_private_unix(&path).err().unwrap().to_string();
        assert!(taken.contains("admin.sock"), "{taken}");
        drop(bound);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        bind_private_unix(&path).unwrap();
    }

    #[tokio::test]
    async fn a_reserved_port_is_nobody_elses_until_it_is_used() {
        let taken = bind_once("127.0.0.1", 0).unwrap();
        let usual = taken.local_addr().unwrap().port();
        let (mut first, mut second) = (Reserved::default(), Reserved::default());
        let port = first.reserve(usual).unwrap();
        assert_ne!(port, usual);
        assert_ne!(second.reserve(port).unwrap(), port);
        assert_eq!(first.bind("127.0.0.1", port).await.unwrap().port(), port);
    }
}
