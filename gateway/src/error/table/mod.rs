//! The one table of Dapr's error codes: tag, HTTP status, gRPC code, text and details of each (as daprd 1.18).
//!
//! Grouped by block; a function a row, so that what a message needs is an argument.

use std::collections::BTreeMap;

use components::{Error, ErrorKind};
use tonic::Code;

use super::{ApiError, Category, DetailKind, Shown, nested};
use crate::operation::Front;

const BOTH: Shown = Shown::Both;
const HTTP: Shown = Shown::Only(Front::Http);
const GRPC: Shown = Shown::Only(Front::Grpc);

fn none() -> [(String, String); 0] {
    []
}

/// Errors of requests as such.
pub mod common;

/// State API.
pub mod state;

/// Pub/sub API.
pub mod pubsub;

/// Secrets API.
pub mod secrets;

/// Service invocation.
pub mod invoke;

/// Blocks that answer as daprd does without a component or a control plane.
pub mod absent;

/// Jobs API.
pub mod jobs;

/// Functions: Ottavo's own.
pub mod functions;

/// A pluggable component's own API error passes untouched over gRPC and with its HTTP code over HTTP.
fn pass_foreign(error: &Error, row: ApiError) -> ApiError {
    let ErrorKind::Foreign(status) = error.kind() else { return row };
    match status.api_error() {
        Some(api) => row.with_foreign(status).with_http_status(api.http_code),
        None => row,
    }
}
