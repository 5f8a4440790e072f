//! Bodies of 100 MB through two sidecars.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::control::{Control, Kind};
use crate::bench::subject::{Running, Subject};

const LENGTH: usize = 100 << 20;

/// One at a time.
pub struct Upload;

impl Scenario for Upload {
    fn name(&self) -> &'static str {
        "P16 100 MB upload, two sidecars"
    }

    fn goal(&self) -> f64 {
        0.20
    }

    fn unit(&self) -> &'static str {
        "upload"
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let app = Control::start(Kind::Respond, 0, &folder.path().join("app")).expect("this program starts again");
        let path = format!("/v1.0/invoke/{}/method/upload", subject.app_id("callee"));
        let mut work = Work::http1(Method::POST, path, Bytes::from(vec![b'x'; LENGTH]));
        work.connections = 1;
        let Some(callee) = subject.sidecar("callee") else {
            let callee = Control::start(Kind::Relay, app.port, &folder.path().join("b"));
            let callee = callee.expect("this program starts again");
            let caller = Control::start(Kind::RelayHttp2, callee.port, &folder.path().join("a"));
            let caller = caller.expect("this program starts again");
            let ids = vec![callee.id(), caller.id()];
            return Some(Running {
                ids,
                drive: Box::new(move |time| {
                    let _kept = (&app, &callee, &caller, &folder);
                    closed_loop::run(&work, caller.port, time)
                }),
            });
        };
        let callee = callee.argument("--max-body-size").argument("200Mi").app(app.port, "http").start();
        let caller = subject.sidecar("caller")?.argument("--max-body-size").argument("200Mi").start();
        let ids = vec![callee.id(), caller.id()];
        Some(Running {
            ids,
            drive: Box::new(move |time: Duration| {
                let _kept = (&app, &callee, &caller, &folder);
                closed_loop::run(&work, caller.http, time)
            }),
        })
    }
}
