//! The node's gateway: its API for managing functions, over a Unix socket or a port of this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::cri::Annotations;
use crate::record::Record;

/// Says where the gateway is, for one container.
const ANNOTATION: &str = "ottavo.dev/admin";

/// The same for the node, in containerd's environment.
const VARIABLE: &str = "OTTAVO_ADMIN";

const DEFAULT: &str = "unix:///run/ottavo/admin.sock";

/// Names a file with the gateway's API token, in containerd's environment.
const TOKEN_FILE: &str = "OTTAVO_API_TOKEN_FILE";
const TOKEN_HEADER: &str = "dapr-api-token";

/// A connection, and the answer of a request that costs the gateway nothing.
const QUICK: Duration = Duration::from_secs(10);

/// Making a module ready: less than the two minutes that Kubernetes gives a start.
const COMPILE: Duration = Duration::from_secs(100);

/// Bytes of an answer.
const ANSWER: usize = 1 << 20;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

/// A gateway, connected to anew for each request.
#[derive(Debug, Clone)]
pub struct Gateway {
    address: String,
    place: Place,
    is_trusted: bool,
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(
        "no answer of the gateway at {address}: {reason}: its flag --functions-admin-socket says where it is managed, and the shim looks where OTTAVO_ADMIN says"
    )]
    NoAnswer { address: String, reason: String },
    /// The gateway's own words.
    #[error("{text}")]
    Refused { status: StatusCode, text: String },
}

impl Failure {
    /// Whether the gateway has no such function.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND, .. })
    }

    /// Whether the function is somebody else's.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::CONFLICT, .. })
    }
}

impl Gateway {
    /// The gateway of a container.
    ///
    /// # Errors
    /// The address is none of this machine's.
    pub fn of(annotations: &Annotations) -> Result<Self, String> {
        let of_node = std::env::var(VARIABLE).ok().filter(|address| !address.is_empty());
        let of_node = of_node.as_deref().unwrap_or(DEFAULT);
        match annotations.get(ANNOTATION) {
            // Who writes a pod does not get the token sent to where they like.
            Some(given) => {
                Self::new(given, given == of_node).map_err(|error| format!("the annotation {ANNOTATION}: {error}"))
            }
            None => Self::new(of_node, true).map_err(|error| format!("{VARIABLE}: {error}")),
        }
    }

    /// The gateway that a record names.
    ///
    /// # Errors
    /// As [`Gateway::of`].
    pub fn recorded(record: &Record) -> Result<Self, String> {
        Self::new(&record.admin, record.is_trusted)
    }

    fn new(address: &str, is_trusted: bool) -> Result<Self, String> {
        let wrong = || format!("'{address}' is neither unix:///a/path nor http://127.0.0.1:PORT");
        let place = if let Some(path) = address.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            Place::Unix(path.into())
        } else {
            let host = address.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
            let host = host.replace("localhost:", "127.0.0.1:");
            let address: SocketAddr = host.parse().map_err(|_| wrong())?;
            // What is managed there is not encrypted.
            Some(address).filter(|address| address.ip().is_loopback()).map(Place::Tcp).ok_or_else(wrong)?
        };
        Ok(Self { address: address.to_owned(), place, is_trusted })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// Uploads a module; how a spec names it.
    ///
    /// # Errors
    /// No answer, or why it is not taken.
    pub async fn bring(&self, module: Vec<u8>) -> Result<Value, Failure> {
        let mut brought = self.ask(Method::PUT, "/wasm/modules", module.into(), COMPILE).await?;
        Ok(brought.get_mut("module").map(Value::take).unwrap_or_default())
    }

    /// Puts a function of an uploaded module to the gateway.
    ///
    /// # Errors
    /// No answer, or why it cannot be.
    pub async fn put(&self, record: &Record, module: Value, spec: &Map<String, Value>) -> Result<(), Failure> {
        let mut spec = spec.clone();
        spec.insert("module".into(), module);
        let body = json!({ "spec": spec, "owner": record.owner }).to_string();
        self.ask(Method::PUT, &path(&record.name), body.into(), COMPILE).await.map(drop)
    }

    /// What the gateway knows of a function.
    ///
    /// # Errors
    /// No answer, or there is none.
    pub async fn get(&self, record: &Record) -> Result<Value, Failure> {
        self.ask(Method::GET, &path(&record.name), Bytes::new(), QUICK).await
    }

    /// Takes a function away. One that is gone already, or has become somebody else's, is no error.
    ///
    /// # Errors
    /// No answer, or the gateway's reason.
    pub async fn delete(&self, record: &Record) -> Result<(), Failure> {
        let owner = utf8_percent_encode(&record.owner, NON_ALPHANUMERIC);
        let path = format!("{}?owner={owner}", path(&record.name));
        match self.ask(Method::DELETE, &path, Bytes::new(), QUICK).await {
            Err(failure) if failure.is_unknown() || failure.is_conflict() => Ok(()),
            answer => answer.map(|_| ()),
        }
    }

    /// The lines that a function writes from now on.
    ///
    /// # Errors
    /// No answer, or there is none.
    pub async fn follow(&self, record: &Record) -> Result<Incoming, Failure> {
        let path = format!("{}/logs", path(&record.name));
        let answer = self.send(Method::GET, &path, Bytes::new());
        let answer = timeout(QUICK, answer).await.map_err(|_| self.silent("it takes too long"))??;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            _ => Err(self.refused(answer).await),
        }
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes, patience: Duration) -> Result<Value, Failure> {
        let exchange = async {
            let answer = self.send(method, path, body).await?;
            if !answer.status().is_success() {
                return Err(self.refused(answer).await);
            }
            let body = Limited::new(answer.into_body(), ANSWER).collect().await;
            let body = body.map_err(|error| self.silent(&error.to_string()))?.to_bytes();
            Ok(serde_json::from_slice(&body).unwrap_or_default())
        };
        timeout(patience, exchange).await.map_err(|_| self.silent("it takes too long"))?
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let connecting = async {
            match &self.place {
                Place::Unix(path) => UnixStream::connect(path).await.map(Stream::boxed),
                Place::Tcp(address) => TcpStream::connect(address).await.map(Stream::boxed),
            }
        };
        let stream = timeout(QUICK, connecting).await.map_err(|_| self.silent("it takes too long"))?;
        let stream = stream.map_err(|error| self.silent(&error.to_string()))?;
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| self.silent(&error.to_string()))?;
        // It ends with the answer's body.
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
        request = request.header(CONTENT_TYPE, "application/octet-stream");
        if let Some(token) = self.token().map_err(|reason| self.silent(&reason))? {
            request = request.header(TOKEN_HEADER, token);
        }
        let request = request.body(Full::new(body)).map_err(|error| self.silent(&error.to_string()))?;
        sender.send_request(request).await.map_err(|error| self.silent(&error.to_string()))
    }

    /// The token, read anew each time: it may be exchanged.
    fn token(&self) -> Result<Option<String>, String> {
        let Some(path) = std::env::var_os(TOKEN_FILE).filter(|path| !path.is_empty() && self.is_trusted) else {
            return Ok(None);
        };
        let token = std::fs::read_to_string(&path);
        let token = token.map_err(|error| format!("{TOKEN_FILE}: {}: {error}", PathBuf::from(&path).display()))?;
        Ok(Some(token.trim().to_owned()))
    }

    async fn refused(&self, answer: Response<Incoming>) -> Failure {
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let said = ["error", "message"].into_iter().find_map(|field| value.get(field)).and_then(Value::as_str);
        let said = said.map_or_else(|| String::from_utf8_lossy(&body).trim().to_owned(), str::to_owned);
        let text = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                format!("the gateway at {} wants a token, which {TOKEN_FILE} of containerd names: {said}", self.address)
            }
            _ => said,
        };
        Failure::Refused { status, text }
    }

    fn silent(&self, reason: &str) -> Failure {
        Failure::NoAnswer { address: self.address.clone(), reason: reason.to_owned() }
    }
}

fn path(name: &str) -> String {
    format!("/wasm/functions/{}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// What a request is sent over.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    fn boxed(self) -> Box<dyn Stream>
    where
        Self: Sized + 'static,
    {
        Box::new(self)
    }
}

impl Stream for UnixStream {}
impl Stream for TcpStream {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_this_machine() {
        let place = |address: &str| Gateway::new(address, true).map(|gateway| gateway.place);
        assert_eq!(place("unix:///run/a.sock"), Ok(Place::Unix("/run/a.sock".into())));
        assert_eq!(place("http://localhost:3502"), Ok(Place::Tcp("127.0.0.1:3502".parse().unwrap())));
        assert_eq!(place("http://[::1]:1/"), Ok(Place::Tcp("[::1]:1".parse().unwrap())));
        for wrong in ["unix://run/a", "http://10.0.0.1:80", "https://127.0.0.1:1", "http://example.com:80", ""] {
            let expected = format!("'{wrong}' is neither unix:///a/path nor http://127.0.0.1:PORT");
            assert_eq!(place(wrong), Err(expected));
        }
    }

    #[test]
    fn a_pods_own_address_gets_no_token() {
        let of = |address: &str| {
            let annotations = [(ANNOTATION.to_owned(), address.to_owned())].into();
            Gateway::of(&annotations).unwrap().is_trusted
        };
        assert!(!of("http://127.0.0.1:1"));
        assert!(of(DEFAULT));
    }
}
