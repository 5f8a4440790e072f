//! State API.

use super::*;

pub fn not_found(store: &str, app_id: Option<&str>) -> ApiError {
    let metadata = app_id.map(|id| ("appID".to_owned(), id.to_owned()));
    ApiError::new(
        Category::State,
        "ERR_STATE_STORE_NOT_FOUND",
        400,
        Code::InvalidArgument,
        format!("state store {store} is not found"),
    )
    .info(HTTP, "DAPR_STATE_NOT_FOUND", metadata)
    .info(GRPC, "DAPR_STATE_NOT_FOUND", none())
}

pub fn not_configured(store: &str, app_id: Option<&str>) -> ApiError {
    let metadata = app_id.map(|id| ("appID".to_owned(), id.to_owned()));
    ApiError::new(
        Category::State,
        "ERR_STATE_STORE_NOT_CONFIGURED",
        500,
        Code::FailedPrecondition,
        format!("state store {store} is not configured"),
    )
    .info(HTTP, "DAPR_STATE_NOT_CONFIGURED", metadata)
    .info(GRPC, "DAPR_STATE_NOT_CONFIGURED", none())
}

pub fn illegal_key(store: &str, key: &str) -> ApiError {
    let message = format!("input key/keyPrefix '{key}' can't contain '||'");
    ApiError::new(Category::State, "ERR_MALFORMED_REQUEST", 400, Code::InvalidArgument, message.clone())
        .http_message(format!("api error: code = InvalidArgument desc = {message}"))
        .detail(GRPC, DetailKind::BadRequest { field: key.to_owned(), description: message.clone() })
        .detail(
            HTTP,
            DetailKind::BadRequest {
                field: key.to_owned(),
                description: format!("api error: code = InvalidArgument desc = {message}"),
            },
        )
        .resource(BOTH, "state", store)
        .info(BOTH, "DAPR_STATE_ILLEGAL_KEY", none())
}

/// A key that the caller must give and did not (gRPC saves).
pub fn key_missing() -> ApiError {
    ApiError::new(Category::State, "ERR_STATE_SAVE", 400, Code::InvalidArgument, "state key cannot be empty").info(
        GRPC,
        "ERR_STATE_SAVE",
        none(),
    )
}

pub fn get(store: &str, key: &str, error: &Error) -> ApiError {
    from_store(error, "ERR_STATE_GET", format!("fail to get {key} from state store {store}: {}", nested(error)))
}

pub fn save(store: &str, error: &Error) -> ApiError {
    from_store(error, "ERR_STATE_SAVE", format!("failed saving state in state store {store}: {}", nested(error)))
}

pub fn delete(key: &str, error: &Error) -> ApiError {
    from_store(error, "ERR_STATE_DELETE", format!("failed deleting state with key {key}: {}", nested(error)))
}

pub fn bulk_delete(store: &str, error: &Error) -> ApiError {
    let message = format!("failed deleting state in state store {store}: {}", nested(error));
    from_store(error, "ERR_STATE_BULK_DELETE", message)
}

pub fn bulk_get(error: &Error) -> ApiError {
    pass_foreign(error, ApiError::new(Category::State, "ERR_STATE_BULK_GET", 500, Code::Unknown, nested(error)))
}

pub fn transaction(error: &Error) -> ApiError {
    let message = format!("error while executing state transaction: {}", nested(error));
    pass_foreign(error, ApiError::new(Category::State, "ERR_STATE_TRANSACTION", 500, Code::Internal, message)).info(
        GRPC,
        "ERR_STATE_TRANSACTION",
        none(),
    )
}

pub fn operation_not_supported(operation: &str) -> ApiError {
    ApiError::new(
        Category::State,
        "ERR_NOT_SUPPORTED_STATE_OPERATION",
        400,
        Code::Unimplemented,
        format!("operation type {operation} not supported"),
    )
    .info(GRPC, "ERR_NOT_SUPPORTED_STATE_OPERATION", none())
}

pub fn transactions_not_supported(store: &str) -> ApiError {
    ApiError::new(
        Category::State,
        "ERR_STATE_STORE_NOT_SUPPORTED",
        500,
        Code::Unimplemented,
        format!("state store {store} doesn't support transactions"),
    )
    .detail(
        BOTH,
        DetailKind::Help {
            url: "https://docs.dapr.io/reference/components-reference/supported-state-stores/".into(),
            description: "Check the list of state stores and the features they support".into(),
        },
    )
    .resource(BOTH, "state", store)
    .info(BOTH, "DAPR_STATE_TRANSACTIONS_NOT_SUPPORTED", none())
}

pub fn too_many_operations(store: &str, count: usize, most: usize) -> ApiError {
    ApiError::new(
        Category::State,
        "ERR_STATE_STORE_TOO_MANY_TRANSACTIONS",
        400,
        Code::InvalidArgument,
        format!(
            "the transaction contains {count} operations, which is more than what the state store supports: {most}"
        ),
    )
    .resource(BOTH, "state", store)
    .info(
        BOTH,
        "DAPR_STATE_TOO_MANY_TRANSACTIONS",
        [
            ("currentOpsTransaction".to_owned(), count.to_string()),
            ("maxOpsPerTransaction".to_owned(), most.to_string()),
        ],
    )
}

pub fn query_unsupported(store: &str) -> ApiError {
    ApiError::new(
        Category::State,
        "ERR_STATE_STORE_NOT_SUPPORTED",
        500,
        Code::Internal,
        "state store does not support querying",
    )
    .resource(BOTH, "state", store)
    .info(BOTH, "DAPR_STATE_QUERYING_NOT_SUPPORTED", none())
}

pub fn query_failed(store: &str, error: &Error) -> ApiError {
    if let ErrorKind::Foreign(status) = error.kind()
        && let Some(api) = status.api_error()
    {
        let info = DetailKind::ErrorInfo { reason: api.reason, domain: api.domain, metadata: BTreeMap::new() };
        return ApiError::new(Category::State, &api.tag, api.http_code, Code::Internal, &status.message)
            .detail(HTTP, info)
            .with_foreign(status);
    }
    let message = format!("state store {store} query failed: {}", nested(error));
    ApiError::new(Category::State, "ERR_STATE_QUERY", 500, Code::Internal, message).resource(BOTH, "state", store).info(
        BOTH,
        "DAPR_STATE_QUERY_FAILED",
        none(),
    )
}

/// ETag failures are the caller's: 409 and Aborted, or 400 and InvalidArgument; the rest is 500 and Internal.
fn from_store(error: &Error, tag: &'static str, message: String) -> ApiError {
    let (http, grpc) = match error.kind() {
        ErrorKind::EtagMismatch => (409, Code::Aborted),
        ErrorKind::EtagInvalid => (400, Code::InvalidArgument),
        _ => (500, Code::Internal),
    };
    pass_foreign(error, ApiError::new(Category::State, tag, http, grpc, message)).info(GRPC, tag, none())
}
