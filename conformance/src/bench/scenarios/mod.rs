//! What is measured: one scenario a file, each for every subject that has it.

mod invoke;
mod publish;
mod state;
mod upload;

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
    /// Sets a subject up; `None` when it has no such thing.
    ///
    /// # Panics
    /// It does not start.
    fn start(&self, subject: &Subject) -> Option<Running>;
}

/// All of them.
pub fn all() -> Vec<Box<dyn Scenario>> {
    vec![
        Box::new(invoke::Http),
        Box::new(invoke::Grpc),
        Box::new(state::GetHttp),
        Box::new(state::SetHttp),
        Box::new(state::GetGrpc),
        Box::new(publish::Single),
        Box::new(publish::Bulk),
        Box::new(upload::Upload),
    ]
}
