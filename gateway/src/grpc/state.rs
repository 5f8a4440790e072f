//! State methods of the Dapr service.

use bytes::Bytes;
use components::Metadata;
use components::state::{Concurrency, Consistency, Options, Value};
use proto_dapr::common::{Etag, StateItem as StateItemMessage, StateOptions, state_options};
use proto_dapr::runtime::*;

use super::Context;
use crate::blocks::state::{
    DeleteBulkState, DeleteItem, DeleteState, ExecuteStateTransaction, GetBulkState, GetState, QueryState, SaveItem,
    SaveState, TransactionOp,
};
use crate::error::{ApiError, table};
use crate::json::parse_whole;

pub async fn get(context: Context, request: GetStateRequest) -> Result<GetStateResponse, ApiError> {
    let operation = GetState {
        store: request.store_name,
        key: request.key,
        consistency: consistency(request.consistency),
        metadata: request.metadata.into_iter().collect(),
    };
    let item = context.runtime.call(&context.call, operation).await?;
    Ok(GetStateResponse {
        data: item.data.unwrap_or_default(),
        etag: item.etag.unwrap_or_default(),
        metadata: item.metadata.into_iter().collect(),
    })
}

pub async fn get_bulk(context: Context, request: GetBulkStateRequest) -> Result<GetBulkStateResponse, ApiError> {
    let operation = GetBulkState {
        store: request.store_name,
        keys: request.keys,
        parallelism: request.parallelism.into(),
        metadata: request.metadata.into_iter().collect(),
    };
    let items = context.runtime.call(&context.call, operation).await?;
    let items = items
        .into_iter()
        .map(|item| match item.result {
            Ok(found) => BulkStateItem {
                key: item.key,
                data: found.data.unwrap_or_default(),
                etag: found.etag.unwrap_or_default(),
                metadata: found.metadata.into_iter().collect(),
                error: String::new(),
            },
            Err(error) => BulkStateItem { key: item.key, error, ..Default::default() },
        })
        .collect();
    Ok(GetBulkStateResponse { items })
}

pub async fn save(context: Context, request: SaveStateRequest) -> Result<(), ApiError> {
    let store = request.store_name;
    context.runtime.state.require(&store)?;
    let mut items = Vec::with_capacity(request.states.len());
    for item in request.states {
        if item.key.is_empty() {
            return Err(table::state::key_missing());
        }
        let metadata: Metadata = item.metadata.clone().into_iter().collect();
        let is_json = metadata.get("contentType").is_some_and(|kind| kind == "application/json");
        let sent = is_json.then(|| item.value.clone());
        let value = if is_json {
            let json = parse_whole(&item.value).map_err(|error| ApiError::unknown(error.unmarshal_text()))?;
            Value::Json(Bytes::from(json.to_text()))
        } else {
            Value::Bytes(item.value.clone())
        };
        items.push(SaveItem { sent, ..save_item(item, value, metadata) });
    }
    context.runtime.call(&context.call, SaveState { store, items }).await
}

pub async fn delete(context: Context, request: DeleteStateRequest) -> Result<(), ApiError> {
    let item = DeleteItem {
        key: request.key,
        etag: request.etag.map(etag),
        options: options(request.options),
        metadata: request.metadata.into_iter().collect(),
    };
    context.runtime.call(&context.call, DeleteState { store: request.store_name, item }).await
}

pub async fn delete_bulk(context: Context, request: DeleteBulkStateRequest) -> Result<(), ApiError> {
    let items = request.states.into_iter().map(delete_item).collect();
    context.runtime.call(&context.call, DeleteBulkState { store: request.store_name, items }).await
}

pub async fn transaction(context: Context, request: ExecuteStateTransactionRequest) -> Result<(), ApiError> {
    let store = request.store_name;
    let operations = request
        .operations
        .into_iter()
        .map(|operation| {
            let item = operation.request.unwrap_or_default();
            match operation.operation_type.as_str() {
                "upsert" => {
                    let (value, metadata) = (Value::Bytes(item.value.clone()), item.metadata.clone());
                    TransactionOp::Upsert(save_item(item, value, metadata.into_iter().collect()))
                }
                "delete" => TransactionOp::Delete(delete_item(item)),
                _ => TransactionOp::Unknown(operation.operation_type),
            }
        })
        .collect();
    let metadata = request.metadata.into_iter().collect();
    context.runtime.call(&context.call, ExecuteStateTransaction { store, operations, metadata }).await
}

pub async fn query(context: Context, request: QueryStateRequest) -> Result<QueryStateResponse, ApiError> {
    let operation = QueryState {
        store: request.store_name,
        query: request.query.into(),
        metadata: request.metadata.into_iter().collect(),
    };
    let reply = context.runtime.call(&context.call, operation).await?;
    Ok(QueryStateResponse {
        results: reply
            .results
            .into_iter()
            .map(|item| QueryStateItem {
                key: item.key,
                data: item.data,
                etag: item.etag.unwrap_or_default(),
                error: item.error,
            })
            .collect(),
        token: reply.token,
        metadata: reply.metadata.into_iter().collect(),
    })
}

fn save_item(item: StateItemMessage, value: Value, metadata: Metadata) -> SaveItem {
    SaveItem { key: item.key, value, sent: None, etag: item.etag.map(etag), options: options(item.options), metadata }
}

fn delete_item(item: StateItemMessage) -> DeleteItem {
    DeleteItem {
        key: item.key,
        etag: item.etag.map(etag),
        options: options(item.options),
        metadata: item.metadata.into_iter().collect(),
    }
}

fn etag(etag: Etag) -> String {
    etag.value
}

fn options(options: Option<StateOptions>) -> Options {
    let Some(options) = options else { return Options::default() };
    let concurrency = match state_options::StateConcurrency::try_from(options.concurrency) {
        Ok(state_options::StateConcurrency::ConcurrencyFirstWrite) => Concurrency::FirstWrite,
        Ok(state_options::StateConcurrency::ConcurrencyLastWrite) => Concurrency::LastWrite,
        _ => Concurrency::Unspecified,
    };
    Options { concurrency, consistency: consistency(options.consistency) }
}

fn consistency(number: i32) -> Consistency {
    match state_options::StateConsistency::try_from(number) {
        Ok(state_options::StateConsistency::ConsistencyEventual) => Consistency::Eventual,
        Ok(state_options::StateConsistency::ConsistencyStrong) => Consistency::Strong,
        _ => Consistency::Unspecified,
    }
}
