//! What can go wrong with a guest, and what would help.

use std::time::Duration;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure of a guest or of what it needs. `guest` is the module's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The module could not be had.
    #[error("{0}")]
    Source(String),
    /// The module is another than the one that was pinned.
    #[error(
        "the module {guest} has the {algorithm} digest {found}, the configuration pins {expected}: update the pin if this module is the right one"
    )]
    Pin { guest: String, algorithm: &'static str, expected: String, found: String },
    /// The bytes are no module that this engine takes.
    #[error("{reason}")]
    Compile { guest: String, reason: String },
    /// The module lacks what its kind of guest must export, or exports it with another signature.
    #[error("{reason}")]
    Contract { guest: String, reason: String },
    /// The module imports something that there is not.
    #[error("the module {guest} imports {module}.{name}, which {kind} do not get here{hint}")]
    Link { guest: String, kind: &'static str, module: String, name: String, hint: String },
    /// The guest gave up, or did what no guest may do.
    #[error("the guest {guest} trapped: {reason}{}", Backtrace(.backtrace))]
    Trap { guest: String, reason: String, backtrace: Vec<String> },
    /// One call computed for longer than it may.
    #[error("the guest {guest} was stopped after {limit:?} in one call: raise its time limit if it needs longer")]
    OutOfTime { guest: String, limit: Duration },
    /// The guest held a stream back, and nothing is under way that would make it go on.
    #[error("the guest {guest} paused the stream, and none of its calls is under way that could resume it")]
    Paused { guest: String },
    /// The request that a guest was to answer could not be read.
    #[error("the request's body could not be read: {0}")]
    Request(String),
    /// The request is more than a guest gets.
    #[error("the request's body is longer than the {limit} bytes that the guest {guest} gets: raise its body limit")]
    TooLong { guest: String, limit: usize },
    /// The guest wanted more memory than it may have, and gave up over it.
    #[error(
        "the guest {guest} wanted {wanted} bytes of memory and may have {limit}: raise its memory limit if it needs more"
    )]
    OutOfMemory { guest: String, limit: usize, wanted: usize },
    /// The call used up its instructions.
    #[error("the guest {guest} used up the {limit} units of fuel of one call: raise its fuel limit if it needs more")]
    OutOfFuel { guest: String, limit: u64 },
    /// The guest asked for something that it was not granted.
    #[error("the guest {guest} may not {what}: {grant}")]
    Denied { guest: String, what: String, grant: String },
    /// The guest ended, or said that it had failed, before it had answered.
    #[error("the guest {guest} did not answer: {reason}")]
    NoAnswer { guest: String, reason: String },
    /// The guest ended before the answer that it had begun.
    #[error("the guest {guest} broke off its answer: {reason}")]
    BrokenOff { guest: String, reason: String },
    /// A command ended with this code. Text as daprd's engine has it.
    #[error("module closed with exit_code({0})")]
    Exit(u32),
    /// As many guests run as can run.
    #[error("{0}")]
    Busy(String),
    /// The engine could not be built.
    #[error("no engine for WebAssembly: {0}")]
    Engine(String),
}

impl Error {
    /// A guest's misuse of a host function; the caller adds the guest's name and where it happened.
    pub(crate) fn misuse(reason: impl Into<String>) -> Self {
        Self::Trap { guest: String::new(), reason: reason.into(), backtrace: Vec::new() }
    }

    /// The same error, about `guest`.
    pub(crate) fn of(self, guest: &str) -> Self {
        let guest = guest.to_owned();
        match self {
            Self::Trap { reason, backtrace, .. } => Self::Trap { guest, reason, backtrace },
            Self::OutOfTime { limit, .. } => Self::OutOfTime { guest, limit },
            Self::Denied { what, grant, .. } => Self::Denied { guest, what, grant },
            other => other,
        }
    }

    /// The same text without the functions that the guest was in: for those who only see the outside.
    pub fn brief(&self) -> String {
        match self {
            Self::Trap { guest, reason, .. } => format!("the guest {guest} trapped: {reason}"),
            other => other.to_string(),
        }
    }

    /// Whether a later try may succeed without any change.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Busy(_))
    }
}

struct Backtrace<'a>(&'a [String]);

impl std::fmt::Display for Backtrace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|frame| write!(f, "\n    in {frame}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_names_the_functions_and_the_brief_text_does_not() {
        let backtrace = vec!["parse".to_owned(), "handle".to_owned()];
        let error = Error::Trap { guest: "router".into(), reason: "unreachable".into(), backtrace };
        assert_eq!(error.to_string(), "the guest router trapped: unreachable\n    in parse\n    in handle");
        assert_eq!(error.brief(), "the guest router trapped: unreachable");
    }
}
