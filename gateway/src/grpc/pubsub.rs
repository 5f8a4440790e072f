//! Publishing methods of the Dapr service.

use proto_dapr::runtime::*;

use super::Context;
use crate::blocks::pubsub::{BulkPublishEntry, BulkPublishEvent, PublishEvent};
use crate::error::{ApiError, nested};

pub async fn publish(context: Context, request: PublishEventRequest) -> Result<(), ApiError> {
    let operation = PublishEvent {
        pubsub: request.pubsub_name,
        topic: request.topic,
        data: request.data,
        content_type: request.data_content_type,
        metadata: request.metadata.into_iter().collect(),
    };
    context.runtime.call(&context.call, operation).await
}

/// A message cannot tell an empty map from none, so an entry has metadata of its own when it has any.
pub async fn bulk_publish(context: Context, request: BulkPublishRequest) -> Result<BulkPublishResponse, ApiError> {
    let entries = request
        .entries
        .into_iter()
        .map(|entry| BulkPublishEntry {
            entry_id: entry.entry_id,
            event: entry.event,
            content_type: entry.content_type,
            metadata: (!entry.metadata.is_empty()).then(|| entry.metadata.into_iter().collect()),
        })
        .collect();
    let operation = BulkPublishEvent {
        pubsub: request.pubsub_name,
        topic: request.topic,
        entries,
        metadata: request.metadata.into_iter().collect(),
    };
    let outcome = context.runtime.call(&context.call, operation).await?;
    if let Some(error) = outcome.error {
        return Err(error);
    }
    Ok(BulkPublishResponse {
        failed_entries: outcome
            .failed
            .into_iter()
            .map(|entry| BulkPublishResponseFailedEntry { entry_id: entry.entry_id, error: nested(&entry.error) })
            .collect(),
    })
}
