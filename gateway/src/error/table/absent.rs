//! Blocks that answer as daprd does without a component or a control plane.

use super::*;

pub fn placement() -> ApiError {
    ApiError::new(
        Category::Actor,
        "ERR_ACTOR_NO_PLACEMENT",
        400,
        Code::Unavailable,
        "placement service is not configured",
    )
}

pub fn lock_store() -> ApiError {
    ApiError::new(
        Category::Lock,
        "ERR_LOCK_STORE_NOT_CONFIGURED",
        500,
        Code::FailedPrecondition,
        "lock store is not configured",
    )
}

pub fn lock_expiry(store: &str) -> ApiError {
    ApiError::new(
        Category::Lock,
        "ERR_MALFORMED_REQUEST",
        400,
        Code::InvalidArgument,
        format!("ExpiryInSeconds is not positive in lock store {store}"),
    )
}

pub fn configuration_store() -> ApiError {
    ApiError::new(
        Category::Configuration,
        "ERR_CONFIGURATION_STORE_NOT_CONFIGURED",
        500,
        Code::FailedPrecondition,
        "configuration stores not configured",
    )
    .info(GRPC, "ERR_CONFIGURATION_STORE_NOT_CONFIGURED", none())
}

pub fn crypto_providers() -> ApiError {
    ApiError::new(
        Category::Crypto,
        "ERR_CRYPTO_PROVIDERS_NOT_CONFIGURED",
        500,
        Code::Internal,
        "crypto providers not configured",
    )
}

pub fn crypto_provider(name: &str) -> ApiError {
    ApiError::new(
        Category::Crypto,
        "ERR_CRYPTO_PROVIDER_NOT_FOUND",
        400,
        Code::InvalidArgument,
        format!("crypto provider {name} not found"),
    )
}

pub fn conversation(name: &str) -> ApiError {
    ApiError::new(
        Category::Conversation,
        "ERR_CONVERSATION_NOT_FOUND",
        400,
        Code::InvalidArgument,
        format!("failed finding conversation component {name}"),
    )
}

pub fn output_binding(name: &str, error: &str) -> ApiError {
    ApiError::new(
        Category::Binding,
        "ERR_INVOKE_OUTPUT_BINDING",
        500,
        Code::Internal,
        format!("error invoking output binding {name}: {error}"),
    )
    .info(GRPC, "ERR_INVOKE_OUTPUT_BINDING", none())
}

/// A block of Dapr 1.19's API that this build has no component for.
pub fn block(what: &str) -> ApiError {
    let tag = format!("ERR_{}_STORE_NOT_CONFIGURED", what.to_ascii_uppercase());
    ApiError::new(Category::Common, &tag, 500, Code::FailedPrecondition, format!("{what} store is not configured"))
        .info(BOTH, &tag, none())
}
