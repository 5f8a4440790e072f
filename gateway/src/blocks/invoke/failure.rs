//! Calls that failed: for policies, and for those who called.

use std::fmt;

use tonic::{Code, Status};

use super::call::{AppReply, ReplyStatus};
use super::peer::PeerError;
use crate::app::AppError;
use crate::error::{ApiError, Category, go_status, table};
use crate::operation::Front;
use crate::resiliency::{self, Failure, PolicyError};

/// A call without an answer. Its text is what stands behind `failed to invoke, id: …, err: `.
#[derive(Debug, Clone)]
pub struct CallError {
    text: String,
    code: Code,
}

impl CallError {
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: Code::Unknown }
    }

    pub fn status(status: &Status) -> Self {
        Self { text: go_status(status), code: status.code() }
    }

    /// Whether another sidecar could not be reached, or did not want this one: worth another attempt.
    pub fn is_unreached(&self) -> bool {
        matches!(self.code, Code::Unavailable | Code::Unauthenticated)
    }

    /// The same, after so many attempts beyond the first.
    pub fn after_retries(mut self, target: &str, retries: u32) -> Self {
        self.text = format!("failed to invoke target {target} after {retries} retries. Error: {}", self.text);
        self
    }

    /// As the caller sees it: a refusal is 403 over HTTP, all else 500.
    pub fn into_api(self, target: &str) -> ApiError {
        let error = table::invoke::failed(target, &self.text);
        if self.code == Code::PermissionDenied { error.with_http_status(403) } else { error }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<AppError> for CallError {
    fn from(error: AppError) -> Self {
        Self { text: error.to_string(), code: error.code() }
    }
}

impl From<PeerError> for CallError {
    fn from(error: PeerError) -> Self {
        let code = error.status.code();
        Self { text: error.text.unwrap_or_else(|| go_status(&error.status)), code }
    }
}

/// A failure on the way to another sidecar, for the built-in policy.
pub struct Unreached(pub CallError);

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Failure for Unreached {
    fn is_retryable(&self) -> bool {
        self.0.is_unreached()
    }
}

/// A failed attempt, for the user's policy. `again`: whether the call can be sent once more.
pub enum Attempted {
    Error {
        error: CallError,
        again: bool,
    },
    /// An answer that counts as a failure; the last one is the caller's.
    Reply {
        reply: Box<AppReply>,
        again: bool,
    },
}

impl fmt::Display for Attempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error { error, .. } => error.fmt(f),
            Self::Reply { reply, .. } => {
                write!(f, "received non-successful status code in response: {}", reply.status.number())
            }
        }
    }
}

impl Failure for Attempted {
    fn code(&self) -> Option<resiliency::Code> {
        match self {
            Self::Error { .. } => None,
            Self::Reply { reply, .. } => Some(match &reply.status {
                ReplyStatus::Http(status) => resiliency::Code::Http(status.as_u16()),
                ReplyStatus::Grpc(status) => resiliency::Code::Grpc(status.code),
            }),
        }
    }

    fn is_retryable(&self) -> bool {
        match self {
            Self::Error { again, .. } | Self::Reply { again, .. } => *again,
        }
    }
}

impl Attempted {
    /// Sorts an outcome: daprd judges answers by the wire that the caller is on. HTTP callers accept redirects, and every
    /// answer of a gRPC application.
    pub fn sort(outcome: Result<AppReply, CallError>, front: Front, again: bool) -> Result<AppReply, Self> {
        let reply = outcome.map_err(|error| Self::Error { error, again })?;
        let is_failure = match (&reply.status, front) {
            (ReplyStatus::Http(status), Front::Http) => !(200..400).contains(&status.as_u16()),
            (ReplyStatus::Http(status), Front::Grpc) => !status.is_success(),
            (ReplyStatus::Grpc(_), Front::Http) => false,
            (ReplyStatus::Grpc(status), Front::Grpc) => status.code != 0,
        };
        if is_failure { Err(Self::Reply { reply: Box::new(reply), again }) } else { Ok(reply) }
    }
}

/// What the caller gets of a call that failed under a policy.
pub fn settle(outcome: Result<AppReply, PolicyError<Attempted>>, target: &str) -> Result<AppReply, ApiError> {
    let (text, code) = match outcome {
        Ok(reply) => return Ok(reply),
        Err(PolicyError::Operation(Attempted::Reply { reply, .. })) => return Ok(*reply),
        Err(PolicyError::Operation(Attempted::Error { error, .. })) => return Err(error.into_api(target)),
        Err(PolicyError::Timeout) => ("context deadline exceeded", Code::DeadlineExceeded),
        Err(PolicyError::BreakerOpen) => ("circuit breaker is open", Code::Unknown),
        Err(PolicyError::TooManyRequests) => ("too many requests", Code::Unknown),
    };
    let shown = format!("failed to invoke, id: {target}, err: {text}");
    Err(ApiError::new(Category::ServiceInvocation, "ERR_DIRECT_INVOKE", 500, code, text).http_message(shown))
}
