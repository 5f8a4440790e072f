//! What retry `matching` of a broker's policy judges (as daprd 1.18: `httpStatusCodes` for publications over HTTP,
//! `gRPCStatusCodes` for all others, dead letters included).

use std::fmt;

use components::{Error, ErrorKind};
use tonic::Code as GrpcCode;

use crate::blocks::invoke::status::http_of;
use crate::operation::Front;
use crate::resiliency::{Code, Failure};

/// A publication that the broker did not take, and the status that it gave, in the terms of the front.
#[derive(Debug)]
pub struct Refused {
    pub error: Error,
    code: Option<Code>,
}

impl Refused {
    /// Of an error as a whole: a status is there when a pluggable component gave one.
    pub fn new(error: Error, front: Front) -> Self {
        let code = status_of(&error, front);
        Self { error, code }
    }

    /// Of entries that failed: the first status counts.
    pub fn of_entries<'a>(text: String, entries: impl IntoIterator<Item = &'a Error>, front: Front) -> Self {
        let code = entries.into_iter().find_map(|error| status_of(error, front));
        Self { error: Error::other(text), code }
    }
}

fn status_of(error: &Error, front: Front) -> Option<Code> {
    let ErrorKind::Foreign(status) = error.kind() else { return None };
    Some(match front {
        Front::Http => Code::Http(http_of(GrpcCode::from(status.code)).as_u16()),
        Front::Grpc => Code::Grpc(status.code),
    })
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(formatter)
    }
}

impl Failure for Refused {
    fn code(&self) -> Option<Code> {
        self.code
    }

    fn is_retryable(&self) -> bool {
        self.error.is_retryable()
    }
}

#[cfg(test)]
mod tests {
    use components::error::ForeignStatus;

    use super::*;

    fn foreign(code: i32) -> Error {
        Error::new(
            ErrorKind::Foreign(Box::new(ForeignStatus { code, message: String::new(), details: Vec::new() })),
            "",
        )
    }

    #[test]
    fn the_front_chooses_the_terms_of_a_brokers_status() {
        assert_eq!(Refused::new(foreign(9), Front::Http).code(), Some(Code::Http(400)));
        assert_eq!(Refused::new(foreign(9), Front::Grpc).code(), Some(Code::Grpc(9)));
        assert_eq!(Refused::new(Error::other("down"), Front::Grpc).code(), None);
        let entries = [Error::other("down"), foreign(14)];
        assert_eq!(Refused::of_entries(String::new(), &entries, Front::Http).code(), Some(Code::Http(503)));
    }
}
