//! Statuses of component processes as errors of ours.

use std::error::Error as _;

use proto_dapr::google_rpc::{BadRequest, ErrorInfo};
use tonic::{Code, Status};

use crate::error::ForeignStatus;
use crate::{Error, ErrorKind};

/// A status as the component's own error; a connection that failed is [`ErrorKind::Unavailable`].
pub(super) fn error(status: Status) -> Error {
    let failed_connection = status.source().is_some_and(|source| source.is::<tonic::transport::Error>());
    let status = foreign(&status);
    if failed_connection {
        return Error::new(ErrorKind::Unavailable, status.text());
    }
    Error::foreign(status)
}

/// As [`error`], for writes: a violation of the field `etag` is about the ETag.
pub(super) fn write_error(status: Status) -> Error {
    let code = status.code();
    let error = error(status);
    let ErrorKind::Foreign(status) = error.kind() else { return error };
    let Some(description) = etag_violation(status) else { return error };
    match code {
        Code::FailedPrecondition => Error::etag_mismatch(Some(&description)),
        Code::InvalidArgument => Error::etag_invalid(Some(&description)),
        _ => error,
    }
}

/// As [`write_error`], for bulk deletes: an `ErrorInfo` may tell how many rows were touched.
pub(super) fn bulk_delete_error(status: Status) -> Error {
    let code = status.code();
    let error = write_error(status);
    let ErrorKind::Foreign(status) = error.kind() else { return error };
    if code != Code::Internal || status.api_error().is_some() {
        return error;
    }
    let Some(info) = status.only_detail::<ErrorInfo>("google.rpc.ErrorInfo") else { return error };
    let number = |name: &str| info.metadata.get(name).and_then(|text| text.parse::<u64>().ok());
    match (number("expected"), number("affected")) {
        (Some(expected), Some(affected)) => Error::new(
            ErrorKind::RowMismatch { expected, affected },
            format!("delete affected only {affected} rows, expected {expected}"),
        ),
        _ => error,
    }
}

fn foreign(status: &Status) -> ForeignStatus {
    ForeignStatus {
        code: status.code().into(),
        message: status.message().to_owned(),
        details: status.details().to_vec(),
    }
}

/// The description of the status's only violation, if that is of the field `etag`.
fn etag_violation(status: &ForeignStatus) -> Option<String> {
    let mut request: BadRequest = status.only_detail("google.rpc.BadRequest")?;
    match (request.field_violations.pop(), request.field_violations.is_empty()) {
        (Some(violation), true) if violation.field == "etag" => Some(violation.description),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use proto_dapr::google_rpc;
    use proto_dapr::google_rpc::bad_request::FieldViolation;

    use super::*;

    fn status(code: Code, name: &str, detail: &impl Message) -> Status {
        let detail =
            prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: detail.encode_to_vec() };
        let details = google_rpc::Status { code: code.into(), message: "m".to_owned(), details: vec![detail] };
        Status::with_details(code, "m", details.encode_to_vec().into())
    }

    fn violation(field: &str) -> BadRequest {
        let violation =
            FieldViolation { field: field.to_owned(), description: "d".to_owned(), ..FieldViolation::default() };
        BadRequest { field_violations: vec![violation] }
    }

    #[test]
    fn a_violation_of_the_etag_is_an_etag_error() {
        let name = "google.rpc.BadRequest";
        let mismatch = write_error(status(Code::FailedPrecondition, name, &violation("etag")));
        assert_eq!(*mismatch.kind(), ErrorKind::EtagMismatch);
        assert_eq!(mismatch.message(), "possible etag mismatch. error from state store: d");
        let invalid = write_error(status(Code::InvalidArgument, name, &violation("etag")));
        assert_eq!((invalid.kind(), invalid.message()), (&ErrorKind::EtagInvalid, "invalid etag value: d"));
        let other = write_error(status(Code::FailedPrecondition, name, &violation("key")));
        assert_eq!(other.message(), "rpc error: code = FailedPrecondition desc = m");
    }

    #[test]
    fn a_bulk_delete_may_tell_its_rows() {
        let metadata = [("expected", "3"), ("affected", "1")];
        let metadata = metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let info = ErrorInfo { metadata, ..ErrorInfo::default() };
        let error = bulk_delete_error(status(Code::Internal, "google.rpc.ErrorInfo", &info));
        assert_eq!(*error.kind(), ErrorKind::RowMismatch { expected: 3, affected: 1 });
        assert_eq!(error.message(), "delete affected only 1 rows, expected 3");
    }

    #[test]
    fn a_plain_status_is_foreign() {
        let error = error(Status::unknown("no"));
        assert!(matches!(error.kind(), ErrorKind::Foreign(status) if status.code == 2));
        assert_eq!(error.message(), "rpc error: code = Unknown desc = no");
    }
}
