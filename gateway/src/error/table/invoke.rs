//! Service invocation.

use super::*;

pub fn no_target() -> ApiError {
    ApiError::new(
        Category::ServiceInvocation,
        "ERR_DIRECT_INVOKE",
        404,
        Code::NotFound,
        "failed getting app id either from the URL path or the header dapr-app-id",
    )
}

pub fn failed(target: &str, error: &str) -> ApiError {
    ApiError::new(
        Category::ServiceInvocation,
        "ERR_DIRECT_INVOKE",
        500,
        Code::Internal,
        format!("failed to invoke, id: {target}, err: {error}"),
    )
}

pub fn not_ready() -> ApiError {
    ApiError::new(Category::ServiceInvocation, "ERR_DIRECT_INVOKE", 500, Code::Internal, "invoke API is not ready")
}

pub fn app_channel_missing() -> ApiError {
    ApiError::new(
        Category::Configuration,
        "ERR_APP_CHANNEL_NIL",
        500,
        Code::Internal,
        "app channel is not initialized. cannot subscribe to configuration updates",
    )
}
