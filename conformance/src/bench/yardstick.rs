//! The limits of this machine in this run: what an answer and a hop cost where nothing is done but that.

use bytes::Bytes;
use http::Method;
use proto_dapr::runtime::GetStateRequest;
use tempfile::TempDir;

use super::Settings;
use super::block;
use super::closed_loop::{self, Work};
use super::control::{Control, Kind};
use super::progress::Progress;
use super::report::Yardstick;
use super::statistics::median;
use super::subject::Running;

/// Blocks of each, at the begin and again at the end.
const BLOCKS: u64 = 2;

/// All of them, running as long as the benchmark does.
pub struct Yardsticks {
    all: Vec<(&'static str, Running, Vec<f64>)>,
}

impl Yardsticks {
    /// How many blocks they take in all, for the progress.
    pub const ALL_BLOCKS: u64 = 2 * BLOCKS * 4;

    /// Starts them.
    pub fn start() -> Self {
        let all = [
            ("raw responder", chain(&[Kind::Respond])),
            ("hyper relay, one hop", chain(&[Kind::Respond, Kind::Relay])),
            ("hyper relay, two hops", chain(&[Kind::Respond, Kind::Relay, Kind::RelayHttp2])),
            ("tonic echo", chain(&[Kind::TonicEcho])),
        ];
        Self { all: all.into_iter().map(|(name, running)| (name, running, Vec::new())).collect() }
    }

    /// Measures each.
    pub fn measure(&mut self, settings: &Settings, progress: &mut Progress) {
        for (name, running, values) in &mut self.all {
            progress.say(name);
            for _ in 0..BLOCKS {
                values.push(block::measure(running, settings.block).cpu / 1e3);
                progress.done();
            }
        }
    }

    /// The medians.
    pub fn rows(&self) -> Vec<Yardstick> {
        let row = |(name, _, values): &(&str, _, Vec<f64>)| Yardstick { name: (*name).to_owned(), cpu: median(values) };
        self.all.iter().map(row).collect()
    }
}

/// A server, and relays before it: the CPU is the relays', or the server's when there are none.
fn chain(kinds: &[Kind]) -> Running {
    let folder: TempDir = tempfile::tempdir().expect("a temporary folder");
    let (mut controls, mut port) = (Vec::<Control>::new(), 0);
    for kind in kinds {
        let log = folder.path().join(controls.len().to_string());
        let control = Control::start(*kind, port, &log).expect("this program starts again");
        port = control.port;
        controls.push(control);
    }
    let work = if kinds == [Kind::TonicEcho] {
        Work::grpc("/dapr.proto.runtime.v1.Dapr/GetState", &GetStateRequest::default())
    } else {
        Work::http1(Method::POST, "/echo", Bytes::from(vec![b'x'; 1024]))
    };
    let ids = controls.iter().skip(usize::from(kinds.len() > 1)).map(Control::id).collect();
    Running {
        ids,
        drive: Box::new(move |time| {
            let _kept = (&controls, &folder);
            closed_loop::run(&work, port, time)
        }),
    }
}
