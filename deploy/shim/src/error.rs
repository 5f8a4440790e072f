//! Errors as containerd wants them: a code that it acts upon, and words that its user sees.

use containerd_shim_protos::ttrpc::{self, Code};

use crate::gateway::Failure;

fn status(code: Code, text: impl Into<String>) -> ttrpc::Error {
    ttrpc::Error::RpcStatus(ttrpc::get_status(code, text.into()))
}

pub fn not_found(text: impl Into<String>) -> ttrpc::Error {
    status(Code::NOT_FOUND, text)
}

pub fn exists(text: impl Into<String>) -> ttrpc::Error {
    status(Code::ALREADY_EXISTS, text)
}

pub fn invalid(text: impl Into<String>) -> ttrpc::Error {
    status(Code::INVALID_ARGUMENT, text)
}

pub fn wrong_state(text: impl Into<String>) -> ttrpc::Error {
    status(Code::FAILED_PRECONDITION, text)
}

/// What a container that has no process cannot do.
pub fn unsupported(what: &str) -> ttrpc::Error {
    status(
        Code::UNIMPLEMENTED,
        format!("{what} is not supported: the container is a function of the node's gateway, without a process"),
    )
}

/// The gateway's own words where it has some.
pub fn gateway(failure: &Failure) -> ttrpc::Error {
    let code = match failure {
        Failure::NoAnswer { .. } => Code::UNAVAILABLE,
        Failure::Refused { .. } => Code::FAILED_PRECONDITION,
    };
    status(code, failure.to_string())
}
