//! Secrets API.

use super::*;

pub fn not_configured() -> ApiError {
    ApiError::new(
        Category::Secret,
        "ERR_SECRET_STORES_NOT_CONFIGURED",
        500,
        Code::FailedPrecondition,
        "secret store is not configured",
    )
}

pub fn not_found(store: &str) -> ApiError {
    ApiError::new(
        Category::Secret,
        "ERR_SECRET_STORE_NOT_FOUND",
        401,
        Code::InvalidArgument,
        format!("failed finding secret store with key {store}"),
    )
}

pub fn denied(key: &str, store: &str) -> ApiError {
    ApiError::new(
        Category::Secret,
        "ERR_PERMISSION_DENIED",
        403,
        Code::PermissionDenied,
        format!("access denied by policy to get \"{key}\" from \"{store}\""),
    )
}

pub fn get(key: &str, store: &str, error: &Error) -> ApiError {
    let message = format!("failed getting secret with key {key} from secret store {store}: {}", nested(error));
    ApiError::new(Category::Secret, "ERR_SECRET_GET", 500, Code::Internal, message)
}

pub fn bulk(store: &str, error: &Error) -> ApiError {
    let message = format!("failed getting secrets from secret store {store}: {}", nested(error));
    ApiError::new(Category::Secret, "ERR_SECRET_GET", 500, Code::Internal, message)
}
