//! Log lines in the form of daprd 1.18 (logrus): text or JSON, on standard output or at the end of a file.
//!
//! The target of an event is its scope (`dapr.runtime.http`, ...). Fields of the event are printed beside the fixed
//! ones; `fatal = true` makes an error fatal and `r#type = "request"` changes the type. Events of other libraries are
//! left out, but for warnings and errors when the level is debug.

mod format;
mod layer;
mod writer;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use tracing_subscriber::layer::SubscriberExt;

pub use self::layer::LogLayer;
pub use self::writer::LogWriter;

/// The least severe level that is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    #[default]
    Info,
    Warning,
    Error,
    Fatal,
}

impl Level {
    /// The name in a line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }
}

impl FromStr for Level {
    type Err = LogError;

    /// `debug`, `info`, `warn`, `error` or `fatal`, in any case.
    fn from_str(text: &str) -> Result<Self, LogError> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warning),
            "error" => Ok(Self::Error),
            "fatal" => Ok(Self::Fatal),
            _ => Err(LogError::Level(text.to_owned())),
        }
    }
}

/// Why logging could not be set up. Texts are daprd's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("invalid value for --log-level: {0}")]
    Level(String),
    #[error("failed to open log file {path:?}: open {path}: {reason}")]
    File { path: String, reason: String },
    #[error("logging is set up already")]
    Twice,
    #[error("the thread that writes log lines could not be started: {0}")]
    Thread(io::Error),
}

/// How lines look and where they go.
#[derive(Debug, Clone, Default)]
pub struct LogOptions {
    pub level: Level,
    pub json: bool,
    /// `None` for standard output.
    pub file: Option<PathBuf>,
    /// Left out of lines when empty.
    pub app_id: String,
    pub version: String,
}

/// Keeps what must be written at the end. Flush or drop it before the process ends.
#[must_use = "lines that are still queued are lost without it"]
pub struct Logs {
    writer: Arc<LogWriter>,
}

impl Logs {
    /// Waits until every line so far is written.
    pub fn flush(&self) {
        self.writer.flush();
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Sets the process's log output. Only `main` calls this: it is the one global of the program.
pub fn init(options: &LogOptions) -> Result<Logs, LogError> {
    let output: Box<dyn Write + Send> = match &options.file {
        None => Box::new(io::stdout()),
        Some(path) => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            Box::new(opened.map_err(|error| LogError::File {
                path: path.display().to_string(),
                reason: crate::config::configuration::os_text(&error),
            })?)
        }
    };
    let writer = Arc::new(LogWriter::start(output).map_err(LogError::Thread)?);
    let layer = LogLayer::new(options, writer.clone());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    Ok(Logs { writer })
}

/// Logs a line of level fatal on the runtime's scope. Ending the process is the caller's.
pub fn fatal(message: &str) {
    tracing::error!(target: "dapr.runtime", fatal = true, "{message}");
}

/// This machine's name, as lines give it.
pub fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_daprds() {
        assert_eq!("WARN".parse::<Level>().unwrap(), Level::Warning);
        assert_eq!("z".parse::<Level>().unwrap_err().to_string(), "invalid value for --log-level: z");
        assert!("warning".parse::<Level>().is_err());
    }
}
