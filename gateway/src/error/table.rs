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
pub mod common {
    use super::*;

    pub fn bad_request(detail: &str) -> ApiError {
        ApiError::new(
            Category::Common,
            "ERR_BAD_REQUEST",
            400,
            Code::InvalidArgument,
            format!("invalid request: {detail}"),
        )
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

    pub fn health_not_ready(targets: &[&str]) -> ApiError {
        let message = format!("dapr is not ready: [{}]", targets.join(" "));
        ApiError::new(Category::Health, "ERR_HEALTH_NOT_READY", 500, Code::Internal, message)
    }

    pub fn outbound_not_ready() -> ApiError {
        ApiError::new(
            Category::Health,
            "ERR_OUTBOUND_HEALTH_NOT_READY",
            500,
            Code::Internal,
            "dapr outbound is not ready",
        )
    }

    pub fn health_app_id() -> ApiError {
        ApiError::new(Category::Health, "ERR_HEALTH_APPID_NOT_MATCH", 500, Code::Internal, "dapr app-id does not match")
    }
}

/// State API.
pub mod state {
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
        ApiError::new(Category::State, "ERR_STATE_QUERY", 500, Code::Internal, message)
            .resource(BOTH, "state", store)
            .info(BOTH, "DAPR_STATE_QUERY_FAILED", none())
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
}

/// Pub/sub API.
pub mod pubsub {
    use super::*;

    fn with_app(app_id: &str) -> [(String, String); 1] {
        [("appID".to_owned(), app_id.to_owned())]
    }

    fn row(tag: &'static str, http: u16, grpc: Code, message: String) -> ApiError {
        ApiError::new(Category::Pubsub, tag, http, grpc, message)
    }

    fn with_topic(error: ApiError, pubsub: &str, topic: &str, reason: &str, text: &str) -> ApiError {
        error.described_resource(BOTH, "pubsub", pubsub).info(
            BOTH,
            reason,
            [("topic".to_owned(), topic.to_owned()), ("error".to_owned(), text.to_owned())],
        )
    }

    pub fn not_found(pubsub: &str, metadata: impl IntoIterator<Item = (String, String)>) -> ApiError {
        row("ERR_PUBSUB_NOT_FOUND", 404, Code::InvalidArgument, format!("pubsub {pubsub} is not found")).info(
            BOTH,
            "DAPR_PUBSUB_NOT_FOUND",
            metadata,
        )
    }

    pub fn not_configured(pubsub: &str, metadata: impl IntoIterator<Item = (String, String)>) -> ApiError {
        row("ERR_PUBSUB_NOT_CONFIGURED", 400, Code::FailedPrecondition, format!("pubsub {pubsub} is not configured"))
            .info(BOTH, "DAPR_PUBSUB_NOT_CONFIGURED", metadata)
    }

    pub fn name_empty(metadata: impl IntoIterator<Item = (String, String)>) -> ApiError {
        row("ERR_PUBSUB_EMPTY", 404, Code::InvalidArgument, "pubsub name is empty".into())
            .described_resource(BOTH, "pubsub", "")
            .info(BOTH, "DAPR_PUBSUB_NAME_EMPTY", metadata)
    }

    pub fn topic_empty(pubsub: &str, metadata: impl IntoIterator<Item = (String, String)>) -> ApiError {
        row("ERR_TOPIC_NAME_EMPTY", 404, Code::InvalidArgument, format!("topic is empty in pubsub {pubsub}"))
            .described_resource(BOTH, "pubsub", pubsub)
            .info(BOTH, "DAPR_PUBSUB_TOPIC_NAME_EMPTY", metadata)
    }

    pub fn metadata(pubsub: &str, metadata: impl IntoIterator<Item = (String, String)>, error: &str) -> ApiError {
        row(
            "ERR_PUBSUB_REQUEST_METADATA",
            400,
            Code::InvalidArgument,
            format!("failed deserializing metadata. Error: {error}"),
        )
        .described_resource(BOTH, "pubsub", pubsub)
        .info(BOTH, "DAPR_PUBSUB_METADATA_DESERIALIZATION", metadata)
    }

    pub fn cloud_event(pubsub: &str, app_id: &str, error: &str) -> ApiError {
        row("ERR_PUBSUB_CLOUD_EVENTS_SER", 500, Code::InvalidArgument, "cannot create cloudevent".into())
            .described_resource(BOTH, "pubsub", pubsub)
            .info(
                BOTH,
                "DAPR_PUBSUB_CLOUD_EVENT_CREATION",
                with_app(app_id).into_iter().chain([("error".to_owned(), error.to_owned())]),
            )
    }

    pub fn marshal_envelope(pubsub: &str, topic: &str, app_id: &str, error: &str) -> ApiError {
        let message = format!("error when marshalling cloud event envelope for topic {topic} pubsub {pubsub}: {error}");
        serialization(pubsub, app_id, error, "DAPR_PUBSUB_MARSHAL_ENVELOPE", message)
    }

    pub fn marshal_events(pubsub: &str, topic: &str, app_id: &str, error: &str) -> ApiError {
        let message = format!("error marshaling events to bytes for topic {topic} pubsub {pubsub}. error: {error}");
        serialization(pubsub, app_id, error, "DAPR_PUBSUB_MARSHAL_EVENTS", message)
    }

    pub fn unmarshal_events(pubsub: &str, topic: &str, app_id: &str, error: &str) -> ApiError {
        let message = format!("error when unmarshaling the request for topic {topic} pubsub {pubsub}: {error}");
        row("ERR_PUBSUB_EVENTS_SER", 400, Code::InvalidArgument, message)
            .described_resource(BOTH, "pubsub", pubsub)
            .info(BOTH, "DAPR_PUBSUB_UNMARSHAL_EVENTS", with_app(app_id))
    }

    fn serialization(pubsub: &str, app_id: &str, error: &str, reason: &str, message: String) -> ApiError {
        row("ERR_PUBSUB_EVENTS_SER", 400, Code::InvalidArgument, message)
            .described_resource(BOTH, "pubsub", pubsub)
            .info(BOTH, reason, with_app(app_id).into_iter().chain([("error".to_owned(), error.to_owned())]))
    }

    pub fn publish(pubsub: &str, topic: &str, error: &str) -> ApiError {
        let message = format!("error when publishing to topic {topic} in pubsub {pubsub}: {error}");
        let row = row("ERR_PUBSUB_PUBLISH_MESSAGE", 500, Code::Internal, message);
        with_topic(row, pubsub, topic, "DAPR_PUBSUB_PUBLISH_MESSAGE", error)
    }

    pub fn forbidden(pubsub: &str, topic: &str, app_id: &str) -> ApiError {
        let message = format!("topic {topic} is not allowed for app id {app_id}");
        let row = row("ERR_PUBSUB_FORBIDDEN", 403, Code::PermissionDenied, message.clone());
        with_topic(row, pubsub, topic, "DAPR_PUBSUB_FORBIDDEN", &message)
    }

    /// The component vanished between the look-up and the call.
    pub fn gone(pubsub: &str, topic: &str) -> ApiError {
        let message = format!("pubsub '{pubsub}' not found");
        let row = row("ERR_PUBSUB_NOT_FOUND", 400, Code::NotFound, message.clone());
        with_topic(row, pubsub, topic, "DAPR_PUBSUB_TEST_NOT_FOUND", &message)
    }

    pub fn outbox(pubsub: &str, app_id: &str, error: &str) -> ApiError {
        row("ERR_PUBLISH_OUTBOX", 500, Code::Internal, format!("error while publishing outbox message: {error}"))
            .described_resource(BOTH, "pubsub", pubsub)
            .info(
                BOTH,
                "DAPR_PUBSUB_OUTBOX",
                with_app(app_id).into_iter().chain([("error".to_owned(), error.to_owned())]),
            )
    }
}

/// Secrets API.
pub mod secrets {
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
}

/// Service invocation.
pub mod invoke {
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
}

/// Blocks that answer as daprd does without a component or a control plane.
pub mod absent {
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
}

/// Jobs API.
pub mod jobs {
    use super::*;

    fn row(reason: &'static str, http: u16, grpc: Code, message: impl Into<String>) -> ApiError {
        ApiError::new(Category::Job, reason, http, grpc, message)
    }

    pub fn name_in_body(app_id: &str) -> ApiError {
        row("DAPR_SCHEDULER_JOB_NAME", 400, Code::InvalidArgument, "Set the job name in the url only").info(
            BOTH,
            "DAPR_SCHEDULER_JOB_NAME",
            [("appID".to_owned(), app_id.to_owned())],
        )
    }

    pub fn name_empty(app_id: &str, namespace: &str) -> ApiError {
        row("DAPR_SCHEDULER_JOB_NAME_EMPTY", 400, Code::InvalidArgument, "Name is empty").info(
            BOTH,
            "DAPR_SCHEDULER_JOB_NAME_EMPTY",
            owner(app_id, namespace),
        )
    }

    pub fn empty(app_id: &str, namespace: &str) -> ApiError {
        row("DAPR_SCHEDULER_EMPTY", 400, Code::InvalidArgument, "Job is empty").info(
            BOTH,
            "DAPR_SCHEDULER_EMPTY",
            owner(app_id, namespace),
        )
    }

    pub fn schedule_empty(app_id: &str, namespace: &str) -> ApiError {
        row("DAPR_SCHEDULER_SCHEDULE_EMPTY", 400, Code::InvalidArgument, "Schedule is empty").info(
            BOTH,
            "DAPR_SCHEDULER_SCHEDULE_EMPTY",
            owner(app_id, namespace),
        )
    }

    /// `what`: schedule job, get job, delete job, list jobs; `reason` as the scheduler errors name it.
    pub fn disabled(what: &str, reason: &'static str, app_id: &str, namespace: &str) -> ApiError {
        row(reason, 500, Code::Internal, format!("failed to {what} due to: scheduler clients are disabled")).info(
            BOTH,
            reason,
            owner(app_id, namespace),
        )
    }

    fn owner(app_id: &str, namespace: &str) -> [(String, String); 2] {
        [("appID".to_owned(), app_id.to_owned()), ("namespace".to_owned(), namespace.to_owned())]
    }
}

/// A pluggable component's own API error passes untouched over gRPC and with its HTTP code over HTTP.
fn pass_foreign(error: &Error, row: ApiError) -> ApiError {
    let ErrorKind::Foreign(status) = error.kind() else { return row };
    match status.api_error() {
        Some(api) => row.with_foreign(status).with_http_status(api.http_code),
        None => row,
    }
}
