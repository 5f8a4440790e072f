//! How a component's error reads inside another message.

use components::{Error, ErrorKind};
use tonic::Code;

/// The component's text; a pluggable component's status in Go's form (`rpc error: code = X desc = Y`, or
/// `api error: ...` when it carried details), as daprd 1.18 prints them.
pub fn nested(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Foreign(status) => {
            let family = if status.details.is_empty() { "rpc" } else { "api" };
            format!("{family} error: code = {} desc = {}", go_code_name(Code::from(status.code)), status.message)
        }
        _ => error.message().to_owned(),
    }
}

/// A status in Go's form: `rpc error: code = X desc = Y`.
pub fn go_status(status: &tonic::Status) -> String {
    format!("rpc error: code = {} desc = {}", go_code_name(status.code()), status.message())
}

/// Go's names of the gRPC codes.
pub fn go_code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}
