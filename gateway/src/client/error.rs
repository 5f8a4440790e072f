//! Why a request got no answer.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use nix::errno::Errno;
use tonic::Code;

/// A request without an answer. The text is Go's for the same failure.
#[derive(Debug, Clone)]
pub struct ClientError {
    text: String,
    code: Code,
    unprocessed: bool,
}

impl ClientError {
    /// Nothing listens, or the connection could not be set up: the request was never written.
    pub fn dial(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: Code::Unavailable, unprocessed: true }
    }

    /// The connection failed under the request.
    pub fn transport(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: Code::Unavailable, unprocessed: false }
    }

    /// The request itself could not be sent: its body broke off, its head is no HTTP.
    pub fn request(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: Code::Unknown, unprocessed: false }
    }

    /// From hyper, for an exchange over HTTP/1.1.
    pub fn from_hyper(error: &hyper::Error) -> Self {
        if error.is_user() || error.is_parse() {
            return Self::request(hyper_text(error));
        }
        Self::transport(hyper_text(error))
    }

    /// From the HTTP/2 library. A refused stream, and one that a GOAWAY left out, was not processed.
    pub fn from_h2(error: &h2::Error) -> Self {
        let refused = error.reason() == Some(h2::Reason::REFUSED_STREAM) || (error.is_go_away() && error.is_remote());
        let (code, text) = match error.reason() {
            _ if error.is_io() => {
                let text = error.get_io().map_or_else(|| "EOF".to_owned(), io_text);
                (Code::Unavailable, format!("error reading from server: {text}"))
            }
            Some(reason) if error.is_reset() => {
                let text = format!("stream terminated by RST_STREAM with error code: {}", reason_name(reason));
                (reset_code(reason), text)
            }
            Some(reason) => {
                let text = format!("the connection is draining, GOAWAY with error code: {}", reason_name(reason));
                (Code::Unavailable, text)
            }
            None => (Code::Unavailable, format!("error reading from server: {error}")),
        };
        Self { text, code, unprocessed: refused }
    }

    /// The same failure of a request of which nothing was written.
    pub fn unwritten(mut self) -> Self {
        self.unprocessed = true;
        self
    }

    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// The code that a gRPC client gives this failure.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Whether the other side has certainly not begun with the request: it may be sent elsewhere.
    pub fn is_unprocessed(&self) -> bool {
        self.unprocessed
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for ClientError {}

/// Which gRPC code a reset stands for (gRPC over HTTP/2, "Errors").
fn reset_code(reason: h2::Reason) -> Code {
    match reason {
        h2::Reason::REFUSED_STREAM => Code::Unavailable,
        h2::Reason::CANCEL => Code::Cancelled,
        h2::Reason::ENHANCE_YOUR_CALM => Code::ResourceExhausted,
        h2::Reason::INADEQUATE_SECURITY => Code::PermissionDenied,
        _ => Code::Internal,
    }
}

/// The names of RFC 9113, which Go prints.
fn reason_name(reason: h2::Reason) -> &'static str {
    const NAMES: [&str; 14] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
    ];
    NAMES.get(u32::from(reason) as usize).copied().unwrap_or("UNKNOWN")
}

fn hyper_text(error: &hyper::Error) -> String {
    let mut cause: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(source) = cause {
        if let Some(io) = source.downcast_ref::<io::Error>() {
            return if io.kind() == io::ErrorKind::UnexpectedEof { "unexpected EOF".to_owned() } else { io_text(io) };
        }
        if source.source().is_none() && error.is_user() {
            // The body's own failure.
            return source.to_string();
        }
        cause = source.source();
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return "EOF".to_owned();
    }
    if error.is_parse() {
        return format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}");
    }
    error.to_string()
}

/// An I/O error as Go prints it.
pub(super) fn io_text(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => errno_text(code),
        None if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        None => error.to_string(),
    }
}

/// The text of an error number as Go prints it: in lower case.
pub fn errno_text(code: i32) -> String {
    Errno::from_raw(code).desc().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_numbers_read_as_in_go() {
        assert_eq!(errno_text(Errno::ECONNREFUSED as i32), "connection refused");
        assert_eq!(errno_text(Errno::ECONNRESET as i32), "connection reset by peer");
        assert_eq!(errno_text(Errno::EHOSTUNREACH as i32), "no route to host");
    }

    #[test]
    fn refused_streams_were_not_processed() {
        let refused = ClientError::from_h2(&h2::Reason::REFUSED_STREAM.into());
        assert!(!ClientError::from_h2(&h2::Reason::CANCEL.into()).is_unprocessed());
        assert!(refused.is_unprocessed());
        assert_eq!(refused.code(), Code::Unavailable);
    }
}
