//! The calls of a function, and why one had no answer.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use components::Metadata;

/// The function that makes a call, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The function's name.
    pub function: Arc<str>,
    /// How many functions have called each other up to this one; 0: it was not called by a function.
    pub depth: u32,
    /// `traceparent` and `tracestate` of what the function works on.
    pub trace: Option<(String, String)>,
}

impl Caller {
    /// A function that no function has called.
    pub fn new(function: impl Into<Arc<str>>) -> Self {
        Self { function: function.into(), depth: 0, trace: None }
    }
}

/// A value with the version by which it can be changed safely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateItem {
    pub value: Bytes,
    pub etag: Option<String>,
}

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateChange {
    /// With an ETag only when it is the value's.
    Set { key: String, value: Bytes, etag: Option<String>, metadata: Metadata },
    /// Only when there is no such key (the store's first-write concurrency without an ETag).
    Create { key: String, value: Bytes, metadata: Metadata },
    /// With an ETag only when it is the value's.
    Delete { key: String, etag: Option<String>, metadata: Metadata },
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub pubsub: String,
    pub topic: String,
    pub data: Bytes,
    pub content_type: Option<String>,
    pub metadata: Metadata,
}

/// A call of an output binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    pub name: String,
    pub operation: String,
    pub data: Bytes,
    pub metadata: Metadata,
}

/// Why a call had no answer. How a guest learns it is its kind's matter; the text goes into the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// The function's `grants` do not name it.
    Denied { function: Arc<str>, what: String, grant: String },
    /// There is no such component, function or application.
    NotFound(String),
    /// The call itself is wrong.
    Invalid(String),
    /// An ETag was not the value's.
    Conflict(String),
    /// It may work later: nothing answers there now, or as much runs as can run.
    Unavailable(String),
    /// The answer did not come in time.
    OutOfTime(String),
    /// What was called has failed.
    Failed(String),
}

impl std::error::Error for CallError {}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { function, what, grant } => {
                write!(f, "the function {function} may not {what}: add `{grant}` to its `grants`")
            }
            Self::NotFound(text)
            | Self::Invalid(text)
            | Self::Conflict(text)
            | Self::Unavailable(text)
            | Self::OutOfTime(text)
            | Self::Failed(text) => f.write_str(text),
        }
    }
}
