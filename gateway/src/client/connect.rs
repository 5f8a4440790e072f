//! Connections: TCP, and TLS on top of it; Unix sockets.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::{ClientError, io_text};
use super::tls::{TlsConfig, tls_text};

/// Where requests go. Cheap to clone.
#[derive(Clone)]
pub struct Origin {
    inner: Arc<Inner>,
}

struct Inner {
    host: String,
    port: u16,
    /// In place of host and port.
    socket: Option<PathBuf>,
    tls: Option<TlsConfig>,
    /// `host:port`, or the host alone where the scheme implies the port.
    authority: http::HeaderValue,
    dial_timeout: Duration,
}

/// How long a connection may take to set up, as daprd 1.18 dials peers.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(30);

impl Origin {
    /// `host` without brackets, even for IPv6. Fails when it cannot be part of a header.
    pub fn new(host: &str, port: u16, tls: Option<TlsConfig>) -> Result<Self, ClientError> {
        let default_port = if tls.is_some() { 443 } else { 80 };
        let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let authority = if port == default_port { bracketed } else { format!("{bracketed}:{port}") };
        let authority = http::HeaderValue::from_str(&authority)
            .map_err(|_| ClientError::request(format!("invalid character in host name {host:?}")))?;
        let inner = Inner { host: host.to_owned(), port, socket: None, tls, authority, dial_timeout: DIAL_TIMEOUT };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// From `host:port`, or from `unix:` and a path, which knows no TLS.
    pub fn from_address(address: &str, tls: Option<TlsConfig>) -> Result<Self, ClientError> {
        if let Some(path) = address.strip_prefix("unix:") {
            let inner = Inner {
                host: String::new(),
                port: 0,
                socket: Some(PathBuf::from(path)),
                tls: None,
                authority: http::HeaderValue::from_static("localhost"),
                dial_timeout: DIAL_TIMEOUT,
            };
            return Ok(Self { inner: Arc::new(inner) });
        }
        let parsed = address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let Some((host, port)) = parsed else {
            return Err(ClientError::dial(format!("dial tcp: address {address}: missing port in address")));
        };
        Self::new(host.trim_start_matches('[').trim_end_matches(']'), port, tls)
    }

    /// The same origin with another limit for setting up a connection, TLS included.
    pub fn with_dial_timeout(self, dial_timeout: Duration) -> Self {
        let Inner { host, port, socket, tls, authority, .. } = &*self.inner;
        let (host, socket, tls, authority) = (host.clone(), socket.clone(), tls.clone(), authority.clone());
        Self { inner: Arc::new(Inner { host, port: *port, socket, tls, authority, dial_timeout }) }
    }

    /// The `Host` header and `:authority`.
    pub fn authority(&self) -> &http::HeaderValue {
        &self.inner.authority
    }

    pub fn scheme(&self) -> http::uri::Scheme {
        if self.inner.tls.is_some() { http::uri::Scheme::HTTPS } else { http::uri::Scheme::HTTP }
    }

    /// Sets up a connection.
    pub async fn connect(&self) -> Result<Io, ClientError> {
        let Inner { host, port, socket, tls, dial_timeout, .. } = &*self.inner;
        let setting_up = async {
            if let Some(path) = socket {
                return UnixStream::connect(path).await.map(Io::Unix).map_err(|error| unreachable(path, &error));
            }
            let tcp = dial(host, *port).await?;
            // Requests and answers are small and waited for.
            let _ = tcp.set_nodelay(true);
            match tls {
                None => Ok(Io::Plain(tcp)),
                Some(tls) => handshake(tcp, host, tls).await,
            }
        };
        match tokio::time::timeout(*dial_timeout, setting_up).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let network = if socket.is_some() { "unix" } else { "tcp" };
                Err(ClientError::dial(format!("dial {network} {self}: i/o timeout")))
            }
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { host, port, socket, .. } = &*self.inner;
        if let Some(path) = socket {
            return write!(f, "{}", path.display());
        }
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

async fn dial(host: &str, port: u16) -> Result<TcpStream, ClientError> {
    if let Ok(ip) = host.parse() {
        let address = SocketAddr::new(ip, port);
        return TcpStream::connect(address).await.map_err(|error| refused(address, &error));
    }
    let no_host = || ClientError::dial(format!("dial tcp: lookup {host}: no such host"));
    let mut last = None;
    for address in tokio::net::lookup_host((host, port)).await.map_err(|_| no_host())? {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(refused(address, &error)),
        }
    }
    Err(last.unwrap_or_else(no_host))
}

fn refused(address: SocketAddr, error: &io::Error) -> ClientError {
    ClientError::dial(format!("dial tcp {address}: connect: {}", io_text(error)))
}

fn unreachable(path: &Path, error: &io::Error) -> ClientError {
    ClientError::dial(format!("dial unix {}: connect: {}", path.display(), io_text(error)))
}

async fn handshake(tcp: TcpStream, host: &str, tls: &TlsConfig) -> Result<Io, ClientError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| ClientError::dial(format!("tls: {host} is no name that a certificate can have")))?;
    let config = tls.client().map_err(ClientError::dial)?;
    let stream = TlsConnector::from(config)
        .connect(name, tcp)
        .await
        .map_err(|error| ClientError::dial(tls_text(&error)).with_code(tonic::Code::Unavailable))?;
    Ok(Io::Tls(Box::new(stream)))
}

/// A connection.
pub enum Io {
    Plain(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_read(context, buffer),
            Self::Unix(io) => Pin::new(io).poll_read(context, buffer),
            Self::Tls(io) => Pin::new(io).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_write(context, bytes),
            Self::Unix(io) => Pin::new(io).poll_write(context, bytes),
            Self::Tls(io) => Pin::new(io).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(context, slices),
            Self::Unix(io) => Pin::new(io).poll_write_vectored(context, slices),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Unix(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_flush(context),
            Self::Unix(io) => Pin::new(io).poll_flush(context),
            Self::Tls(io) => Pin::new(io).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(io) => Pin::new(io).poll_shutdown(context),
            Self::Unix(io) => Pin::new(io).poll_shutdown(context),
            Self::Tls(io) => Pin::new(io).poll_shutdown(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_refused_connection_reads_as_in_go() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let Err(error) = Origin::new("127.0.0.1", port, None).unwrap().connect().await else { panic!("it connected") };
        assert_eq!(error.to_string(), format!("dial tcp 127.0.0.1:{port}: connect: connection refused"));
        assert!(error.is_unprocessed());
    }

    #[tokio::test]
    async fn unix_sockets_are_addresses_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let origin = Origin::from_address(&format!("unix:{}", path.display()), None).unwrap();
        let Err(error) = origin.connect().await else { panic!("it connected") };
        assert_eq!(error.to_string(), format!("dial unix {}: connect: no such file or directory", path.display()));
        assert!(error.is_unprocessed());
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert!(origin.connect().await.is_ok());
    }

    #[test]
    fn authorities_leave_out_the_usual_port() {
        let authority = |address| Origin::from_address(address, None).unwrap().authority().clone();
        assert_eq!(authority("host:80"), "host");
        assert_eq!(authority("[::1]:81"), "[::1]:81");
        assert!(Origin::from_address("host", None).is_err());
    }
}
