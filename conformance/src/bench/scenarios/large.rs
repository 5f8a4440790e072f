//! Bodies of 100 MB through two sidecars, up and down, alone and beside others.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::Scenario;
use crate::bench::closed_loop::{self, Work};
use crate::bench::pair::{self, Pair, Traffic};
use crate::bench::responder::LARGE;
use crate::bench::subject::{Running, Subject};

/// How many go at once beside each other.
const MANY: u32 = 16;
/// Each block moves gigabytes: so many pairs say enough.
const PAIRS: u32 = 4;
/// How long small bodies go before.
const FIRST: Duration = Duration::from_millis(500);

/// A direction and a number.
pub struct Large {
    name: &'static str,
    up: bool,
    at_once: u32,
}

/// All of them.
pub const ALL: [Large; 4] = [
    Large { name: "P16 100 MB upload, two sidecars", up: true, at_once: 1 },
    Large { name: "P16 100 MB download, two sidecars", up: false, at_once: 1 },
    Large { name: "P16 100 MB uploads, 16 at once, two sidecars", up: true, at_once: MANY },
    Large { name: "P16 100 MB downloads, 16 at once, two sidecars", up: false, at_once: MANY },
];

impl Scenario for Large {
    fn name(&self) -> &'static str {
        self.name
    }

    fn goal(&self) -> f64 {
        0.20
    }

    fn unit(&self) -> &'static str {
        "body"
    }

    fn streams(&self) -> Option<u32> {
        Some(self.at_once)
    }

    fn pairs(&self, asked: u32) -> u32 {
        if self.at_once > 1 { asked.min(PAIRS) } else { asked }
    }

    fn start(&self, subject: &Subject) -> Option<Running> {
        let mut work = if self.up {
            Work::http1(Method::POST, pair::path(subject, "upload"), Bytes::from(vec![b'x'; LARGE]))
        } else {
            Work::http1(Method::GET, pair::path(subject, "download"), Bytes::new())
        };
        work.connections = self.at_once as usize;
        let pair = Pair::start(subject, Traffic::Large);
        // What is made once, and the program's own pages, are no part of a stream's memory.
        let small = Work::http1(Method::POST, pair::path(subject, "upload"), Bytes::from_static(&[b'x'; 1024]));
        closed_loop::run(&Work { connections: work.connections, ..small }, pair.port, FIRST);
        Some(pair.running(work, 1))
    }
}
