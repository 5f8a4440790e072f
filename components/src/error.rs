//! The one error of every component.

use std::fmt;

use prost::Message;
use proto_dapr::google_rpc::{ErrorInfo, Status};

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

/// What a pluggable component says about an error beyond its status, in an `ErrorInfo` of its own form
/// (`kit_error`, `http_code`, `tag`: as daprd 1.18 reads them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignApiError {
    /// The status that HTTP clients get.
    pub http_code: u16,
    /// The error code that HTTP clients get.
    pub tag: String,
    /// Reason and domain of the `ErrorInfo` that gRPC clients get.
    pub reason: String,
    pub domain: String,
}

impl ForeignStatus {
    /// The component's own API error, if the status carries exactly one detail that is one.
    pub fn api_error(&self) -> Option<ForeignApiError> {
        let info: ErrorInfo = self.only_detail("google.rpc.ErrorInfo")?;
        if info.metadata.get("kit_error").map(String::as_str) != Some("true") {
            return None;
        }
        Some(ForeignApiError {
            http_code: info.metadata.get("http_code")?.parse().ok()?,
            tag: info.metadata.get("tag").cloned().unwrap_or_default(),
            reason: info.reason,
            domain: info.domain,
        })
    }

    /// The status's detail, if it has exactly one and that is of the type `name`.
    pub(crate) fn only_detail<M: Message + Default>(&self, name: &str) -> Option<M> {
        let status = Status::decode(self.details.as_slice()).ok()?;
        let [detail] = status.details.as_slice() else { return None };
        let is_named = detail.type_url.rsplit('/').next() == Some(name);
        is_named.then(|| M::decode(detail.value.as_slice()).ok())?
    }

    /// As Go prints it: `rpc error: code = Unknown desc = ...`, or `api error: ...` for a component's own API error.
    pub fn text(&self) -> String {
        let family = if self.api_error().is_some() { "api" } else { "rpc" };
        format!("{family} error: code = {} desc = {}", go_code_name(self.code), self.message)
    }
}

/// Go's name of a gRPC code.
fn go_code_name(code: i32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    usize::try_from(code).ok().and_then(|code| NAMES.get(code)).copied().unwrap_or("Unknown")
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

    /// A pluggable component's status, as daprd prints it.
    pub fn foreign(status: ForeignStatus) -> Self {
        let text = status.text();
        Self::new(ErrorKind::Foreign(Box::new(status)), text)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn status(metadata: &[(&str, &str)], copies: usize) -> ForeignStatus {
        let metadata = metadata.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let info = ErrorInfo { reason: "R".to_owned(), domain: "dapr.io".to_owned(), metadata: metadata.collect() };
        let detail = prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(),
            value: info.encode_to_vec(),
        };
        let details = Status { code: 15, message: "lost".to_owned(), details: vec![detail; copies] };
        ForeignStatus { code: 15, message: "lost".to_owned(), details: details.encode_to_vec() }
    }

    #[test]
    fn a_component_may_say_what_http_clients_get() {
        let status = status(&[("kit_error", "true"), ("http_code", "506"), ("tag", "TAG")], 1);
        let expected = ForeignApiError {
            http_code: 506,
            tag: "TAG".to_owned(),
            reason: "R".to_owned(),
            domain: "dapr.io".to_owned(),
        };
        assert_eq!(status.api_error(), Some(expected));
        assert_eq!(Error::foreign(status).message(), "api error: code = DataLoss desc = lost");
    }

    #[test]
    fn other_details_make_no_api_error() {
        for (metadata, copies) in [
            (vec![("http_code", "506")], 1),
            (vec![("kit_error", "true")], 1),
            (vec![("kit_error", "true"), ("http_code", "5")], 2),
        ] {
            let status = status(&metadata, copies);
            assert_eq!(status.api_error(), None);
            assert_eq!(status.text(), "rpc error: code = DataLoss desc = lost");
        }
    }
}
