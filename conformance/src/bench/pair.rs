//! Two sidecars: an application, its sidecar, and a caller's sidecar. For the control two relays stand in their place.

use tempfile::TempDir;

use super::closed_loop::{self, Work};
use super::control::{Control, Kind};
use super::subject::{Running, Subject};
use crate::target::Sidecar;

/// What goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// Small bodies over HTTP.
    Http,
    /// Bodies of [`crate::bench::responder::LARGE`] over HTTP.
    Large,
    /// gRPC.
    Grpc,
}

/// A pair that is ready; it ends with its value.
pub struct Pair {
    /// The caller's port, of HTTP or gRPC.
    pub port: u16,
    /// The processes of the sidecars: the callee's, the caller's.
    pub ids: Vec<u32>,
    _kept: (Control, Vec<Sidecar>, Vec<Control>, TempDir),
}

impl Pair {
    /// Starts one.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(subject: &Subject, traffic: Traffic) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let control = |kind, to, log: &str| {
            Control::start(kind, to, &folder.path().join(log)).expect("this program starts again")
        };
        let (app, protocol, last) = match traffic {
            Traffic::Http | Traffic::Large => (Kind::Respond, "http", Kind::Relay),
            Traffic::Grpc => (Kind::RespondGrpc, "grpc", Kind::RelayHttp2),
        };
        let app = control(app, 0, "app");
        let sidecars = subject.sidecar("callee").zip(subject.sidecar("caller"));
        let Some((mut callee, mut caller)) = sidecars else {
            let callee = control(last, app.port, "callee");
            let caller = control(Kind::RelayHttp2, callee.port, "caller");
            let (port, ids) = (caller.port, vec![callee.id(), caller.id()]);
            return Self { port, ids, _kept: (app, Vec::new(), vec![callee, caller], folder) };
        };
        if traffic == Traffic::Large {
            callee = callee.argument("--max-body-size").argument("200Mi");
            caller = caller.argument("--max-body-size").argument("200Mi");
        }
        let callee = callee.app(app.port, protocol).start();
        let caller = caller.start();
        let port = if traffic == Traffic::Grpc { caller.grpc } else { caller.http };
        let ids = vec![callee.id(), caller.id()];
        Self { port, ids, _kept: (app, vec![callee, caller], Vec::new(), folder) }
    }

    /// Asks `work` of the caller in a closed loop, and counts `each` for a request.
    pub fn running(self, work: Work, each: u64) -> Running {
        Running {
            ids: self.ids.clone(),
            drive: Box::new(move |time| {
                let _kept = &self;
                let mut counted = closed_loop::run(&work, self.port, time);
                counted.requests *= each;
                counted
            }),
        }
    }
}

/// The path under which the caller's sidecar reaches a path of the callee's application.
pub fn path(subject: &Subject, path: &str) -> String {
    match subject {
        // The relays hand on what they get.
        Subject::Control => format!("/{path}"),
        _ => format!("/v1.0/invoke/{}/method/{path}", subject.app_id("callee")),
    }
}
