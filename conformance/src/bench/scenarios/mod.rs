//! What is measured: one scenario a file, each for every subject that has it.

pub mod invoke;
mod large;
mod publish;
mod redis_publish;
mod redis_state;
mod state;

use super::subject::{Running, Subject};

/// Something that a sidecar does all day.
pub trait Scenario {
    /// Its number and name, as in the goals.
    fn name(&self) -> &'static str;
    /// The most CPU, as a ratio to daprd's, that is a success.
    fn goal(&self) -> f64;
    /// The most CPU, as a ratio to the control's.
    fn goal_to_control(&self) -> Option<f64> {
        None
    }
    /// What one request is, in the report.
    fn unit(&self) -> &'static str {
        "request"
    }
    /// How many bodies are on their way at once, where the memory of each is limited (see `STREAM_MEMORY`).
    fn streams(&self) -> Option<u32> {
        None
    }
    /// How many pairs of blocks are measured when so many were asked for.
    fn pairs(&self, asked: u32) -> u32 {
        asked
    }
    /// Sets a subject up; `None` when it has no such thing.
    ///
    /// # Panics
    /// It does not start.
    fn start(&self, subject: &Subject) -> Option<Running>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Scenario>> {
    let mut all: Vec<Box<dyn Scenario>> = vec![
        Box::new(invoke::Http),
        Box::new(invoke::Grpc),
        Box::new(invoke::Stream),
        Box::new(state::GetHttp),
        Box::new(state::SetHttp),
        Box::new(state::GetGrpc),
        Box::new(redis_state::Get),
        Box::new(redis_state::Set),
        Box::new(redis_state::Transaction),
        Box::new(publish::Single),
        Box::new(publish::Bulk),
        Box::new(redis_publish::Single),
    ];
    all.extend(large::ALL.map(|large| Box::new(large) as Box<dyn Scenario>));
    all
}
