//! Errors of requests as such.

use super::*;

pub fn bad_request(detail: &str) -> ApiError {
    ApiError::new(Category::Common, "ERR_BAD_REQUEST", 400, Code::InvalidArgument, format!("invalid request: {detail}"))
}

pub fn unimplemented() -> ApiError {
    ApiError::new(
        Category::Common,
        "ERR_API_UNIMPLEMENTED",
        501,
        Code::Unimplemented,
        "this API is currently not implemented",
    )
}

pub fn body_read(detail: &str) -> ApiError {
    ApiError::new(
        Category::Common,
        "ERR_BODY_READ",
        400,
        Code::InvalidArgument,
        format!("failed to read request body: {detail}"),
    )
}

pub fn malformed(detail: &str) -> ApiError {
    malformed_bare(format!("failed deserializing HTTP body: {detail}"))
}

/// The same tag without the usual prefix (state saves).
pub fn malformed_bare(message: impl Into<String>) -> ApiError {
    ApiError::new(Category::Common, "ERR_MALFORMED_REQUEST", 400, Code::InvalidArgument, message)
}

/// Ottavo's own: daprd takes in everything.
pub fn overloaded() -> ApiError {
    ApiError::new(
        Category::Common,
        "ERR_OVERLOADED",
        429,
        Code::ResourceExhausted,
        "more is asked of this sidecar than its processors can do: ask again later, or give it more of them",
    )
}

pub fn health_not_ready(targets: &[&str]) -> ApiError {
    let message = format!("dapr is not ready: [{}]", targets.join(" "));
    ApiError::new(Category::Health, "ERR_HEALTH_NOT_READY", 500, Code::Internal, message)
}

pub fn outbound_not_ready() -> ApiError {
    ApiError::new(Category::Health, "ERR_OUTBOUND_HEALTH_NOT_READY", 500, Code::Internal, "dapr outbound is not ready")
}

pub fn health_app_id() -> ApiError {
    ApiError::new(Category::Health, "ERR_HEALTH_APPID_NOT_MATCH", 500, Code::Internal, "dapr app-id does not match")
}
