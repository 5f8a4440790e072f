//! The one error of every component.

use std::fmt;

/// What went wrong, for callers that act on it. Texts are never matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The given ETag is not the stored one (state).
    EtagMismatch,
    /// The given ETag cannot be one of this store's (state).
    EtagInvalid,
    /// A bulk delete touched fewer rows than asked (state).
    RowMismatch { expected: u64, affected: u64 },
    /// What was asked for does not exist.
    NotFound,
    /// The component cannot do this at all.
    Unsupported,
    /// The request is wrong and will be wrong again.
    Invalid,
    /// The component's own metadata is wrong.
    Config,
    /// The server behind the component could not be reached, or went away.
    Unavailable,
    /// The time given to the operation ran out.
    Timeout,
    /// A status that a pluggable component answered with; passes to the API's caller untouched.
    Foreign(Box<ForeignStatus>),
    /// Anything else.
    Other,
}

/// A gRPC status from outside: code, message and the packed `google.rpc.Status` details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignStatus {
    /// gRPC code, 0 to 16.
    pub code: i32,
    pub message: String,
    /// Encoded `google.rpc.Status`, empty when the component sent none.
    pub details: Vec<u8>,
}

/// An error of a component: its [`ErrorKind`] and a text for people.
///
/// The text is what daprd prints for the same failure where it has one.
#[derive(Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// The result of every component method.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Anything that has no kind of its own.
    pub fn other(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Other, message)
    }

    /// The component's metadata is wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// The component cannot do `what`.
    pub fn unsupported(what: &str) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{what} is not supported by this component"))
    }

    /// As daprd 1.18, state API: `possible etag mismatch. error from state store`, with `detail` behind it.
    pub fn etag_mismatch(detail: Option<&str>) -> Self {
        Self::new(ErrorKind::EtagMismatch, with_detail("possible etag mismatch. error from state store", detail))
    }

    /// As daprd 1.18, state API: `invalid etag value`, with `detail` behind it.
    pub fn etag_invalid(detail: Option<&str>) -> Self {
        Self::new(ErrorKind::EtagInvalid, with_detail("invalid etag value", detail))
    }

    pub fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the failure is about the caller's ETag: such failures are never retried.
    pub fn is_etag(&self) -> bool {
        matches!(self.kind, ErrorKind::EtagMismatch | ErrorKind::EtagInvalid)
    }

    /// The same error with `context: ` before its text.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

fn with_detail(text: &str, detail: Option<&str>) -> String {
    match detail {
        Some(detail) => format!("{text}: {detail}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error").field("kind", &self.kind).field("message", &self.message).finish()
    }
}

impl std::error::Error for Error {}
