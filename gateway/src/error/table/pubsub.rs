//! Pub/sub API.

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
    row("ERR_PUBSUB_NOT_CONFIGURED", 400, Code::FailedPrecondition, format!("pubsub {pubsub} is not configured")).info(
        BOTH,
        "DAPR_PUBSUB_NOT_CONFIGURED",
        metadata,
    )
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
    row("ERR_PUBSUB_EVENTS_SER", 400, Code::InvalidArgument, message).described_resource(BOTH, "pubsub", pubsub).info(
        BOTH,
        "DAPR_PUBSUB_UNMARSHAL_EVENTS",
        with_app(app_id),
    )
}

fn serialization(pubsub: &str, app_id: &str, error: &str, reason: &str, message: String) -> ApiError {
    row("ERR_PUBSUB_EVENTS_SER", 400, Code::InvalidArgument, message).described_resource(BOTH, "pubsub", pubsub).info(
        BOTH,
        reason,
        with_app(app_id).into_iter().chain([("error".to_owned(), error.to_owned())]),
    )
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
        .info(BOTH, "DAPR_PUBSUB_OUTBOX", with_app(app_id).into_iter().chain([("error".to_owned(), error.to_owned())]))
}
