//! The limit: what a sidecar cannot be cheaper than, in processes of its own, with nothing of a sidecar but the hops.

mod echo;
mod hyper;
mod relay;
pub mod stream;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use super::responder::{self, Site};
use crate::target::{Process, free_ports};

/// What a control process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Answers 1 KB, or 100 MB to `/download`, raw.
    Respond,
    /// Answers unary calls of gRPC, and a stream of messages, on hyper: the application.
    RespondGrpc,
    /// Answers with what it was sent, on hyper.
    Echo,
    /// Answers `GetState` on tonic.
    TonicEcho,
    /// Relays to another port over HTTP/1.1, on hyper.
    Relay,
    /// Relays to another port over HTTP/2 without TLS, on hyper.
    RelayHttp2,
}

/// A running control process.
pub struct Control {
    process: Process,
    /// Where it listens.
    pub port: u16,
}

impl Control {
    /// Starts this very program as one.
    ///
    /// # Errors
    /// This program has no path.
    pub fn start(kind: Kind, to: u16, log: &Path) -> io::Result<Self> {
        use clap::ValueEnum;
        let [port] = free_ports();
        let mut command = Command::new(std::env::current_exe()?);
        let name = kind.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        command.args(["control", "--kind", &name, "--port", &port.to_string(), "--to", &to.to_string()]);
        let mut process = Process::start(command, log);
        process.wait_until("listening", Duration::from_secs(10), || {
            std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        Ok(Self { process, port })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Serves until it is killed.
///
/// # Errors
/// The port cannot be had.
pub fn serve(kind: Kind, port: u16, to: u16) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        match kind {
            Kind::Respond => responder::serve(listener, Arc::new(Site::default())).await,
            Kind::RespondGrpc => stream::serve(listener).await,
            Kind::Echo => hyper::serve(listener).await,
            Kind::TonicEcho => echo::serve(listener).await,
            Kind::Relay => relay::serve(listener, to, false).await,
            Kind::RelayHttp2 => relay::serve(listener, to, true).await,
        }
    })
}
