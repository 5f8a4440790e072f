//! Signals: what ends the process, and what makes it read its resources anew (as daprd 1.18).

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// SIGINT or SIGTERM, with Go's name for it.
    Stop(&'static str),
    /// SIGHUP.
    Reload,
}

/// The signals of this process, from now on no longer deadly.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next signal.
    pub async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop("interrupt"),
            _ = self.terminate.recv() => Asked::Stop("terminated"),
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    /// The next one that asks to stop.
    pub async fn next_stop(&mut self) -> &'static str {
        loop {
            if let Asked::Stop(name) = self.next().await {
                return name;
            }
        }
    }
}
