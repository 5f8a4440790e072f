//! State stores in other processes.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use prost_types::Any;
use proto_dapr::components as pb;
use proto_dapr::components::queriable_state_store_client::QueriableStateStoreClient;
use proto_dapr::components::state_options::{StateConcurrency, StateConsistency};
use proto_dapr::components::state_store_client::StateStoreClient;
use proto_dapr::components::transactional_state_operation::Request as Operation;
use proto_dapr::components::transactional_state_store_client::TransactionalStateStoreClient;
use proto_dapr::components::transactional_store_multi_max_size_client::TransactionalStoreMultiMaxSizeClient;
use tokio::sync::OnceCell;

use super::socket::{Connection, Socket, init_metadata};
use super::status::{bulk_delete_error, error, write_error};
use crate::component::{Built, InitContext, Spec};
use crate::registry::Registry;
use crate::state::{
    BulkError, BulkGetItem, Concurrency, Consistency, DeleteRequest, Features, GetReply, GetRequest, Op, Options,
    QueryItem, QueryReply, QueryRequest, SetRequest, StateStore, Value,
};
use crate::{Error, Metadata, Result};

pub(super) const SERVICE: &str = "dapr.proto.components.v1.StateStore";

/// The service that tells how large a transaction may be.
pub(super) const MAX_SIZE_SERVICE: &str = "dapr.proto.components.v1.TransactionalStoreMultiMaxSize";

/// `tells_max_size`: whether the socket has [`MAX_SIZE_SERVICE`].
pub(super) fn register(registry: &mut Registry, kind_and_name: &str, socket: Socket, tells_max_size: bool) {
    registry.add(kind_and_name, "v1", &[], move |spec, context| build(socket.clone(), tells_max_size, spec, context));
}

async fn build(socket: Socket, tells_max_size: bool, spec: Spec, context: InitContext) -> Result<Built> {
    let connection = socket.connect(&spec.name, context.init_timeout).await?;
    let mut client = StateStoreClient::new(connection.clone()).max_decoding_message_size(usize::MAX);
    client.init(pb::InitRequest { metadata: init_metadata(&spec.properties) }).await.map_err(error)?;
    let names = client.features(pb::FeaturesRequest {}).await.map_err(error)?.into_inner().features;
    let has = |name: &str| names.iter().any(|known| known == name);
    // The protocol has no calls for listing keys and deleting by prefix, so those are not claimed.
    let features = Features {
        etag: has("ETAG"),
        transactional: has("TRANSACTIONAL"),
        query: has("QUERY_API"),
        ttl: has("TTL"),
        partition_key: has("PARTITION_KEY"),
        ..Features::default()
    };
    let max_size = if tells_max_size { OnceCell::new() } else { OnceCell::new_with(Some(None)) };
    Ok(Built::State(Arc::new(Pluggable { client, connection, features, max_size })))
}

struct Pluggable {
    client: StateStoreClient<Connection>,
    connection: Connection,
    features: Features,
    /// Asked before the first transaction and not earlier: components answer it only when they have transactions.
    max_size: OnceCell<Option<usize>>,
}

#[async_trait]
impl StateStore for Pluggable {
    fn features(&self) -> Features {
        self.features
    }

    async fn get(&self, request: &GetRequest) -> Result<GetReply> {
        let reply = self.client.clone().get(get_request(request)).await.map_err(error)?.into_inner();
        Ok(get_reply(reply.data, reply.etag, reply.metadata.into_iter().collect(), reply.content_type))
    }

    async fn set(&self, request: &SetRequest) -> Result<()> {
        self.client.clone().set(set_request(request)?).await.map_err(write_error)?;
        Ok(())
    }

    async fn delete(&self, request: &DeleteRequest) -> Result<()> {
        self.client.clone().delete(delete_request(request)?).await.map_err(write_error)?;
        Ok(())
    }

    async fn bulk_get(&self, requests: &[GetRequest]) -> Option<Result<Vec<BulkGetItem>>> {
        let request = pb::BulkGetRequest {
            items: requests.iter().map(get_request).collect(),
            options: Some(pb::BulkGetRequestOptions::default()),
        };
        let reply = match self.client.clone().bulk_get(request).await {
            Ok(reply) => reply.into_inner(),
            Err(status) => return Some(Err(error(status))),
        };
        let item = |item: pb::BulkStateItem| BulkGetItem {
            key: item.key,
            result: if item.error.is_empty() {
                Ok(get_reply(item.data, item.etag, item.metadata.into_iter().collect(), item.content_type))
            } else {
                Err(Error::other(item.error))
            },
        };
        Some(Ok(reply.items.into_iter().map(item).collect()))
    }

    async fn bulk_set(&self, requests: &[SetRequest]) -> Option<Result<(), BulkError>> {
        let items = match requests.iter().map(set_request).collect::<Result<Vec<_>>>() {
            Ok(items) => items,
            Err(failure) => return Some(Err(BulkError::Whole(failure))),
        };
        let request = pb::BulkSetRequest { items, options: Some(pb::BulkSetRequestOptions::default()) };
        let done = self.client.clone().bulk_set(request).await;
        Some(done.map(drop).map_err(|status| BulkError::Whole(write_error(status))))
    }

    async fn bulk_delete(&self, requests: &[DeleteRequest]) -> Option<Result<(), BulkError>> {
        let items = match requests.iter().map(delete_request).collect::<Result<Vec<_>>>() {
            Ok(items) => items,
            Err(failure) => return Some(Err(BulkError::Whole(failure))),
        };
        let request = pb::BulkDeleteRequest { items, options: Some(pb::BulkDeleteRequestOptions::default()) };
        let done = self.client.clone().bulk_delete(request).await;
        Some(done.map(drop).map_err(|status| BulkError::Whole(bulk_delete_error(status))))
    }

    async fn transact(&self, operations: &[Op], metadata: &Metadata) -> Result<()> {
        if !self.features.transactional {
            return Err(Error::unsupported("a transaction"));
        }
        let operation = |operation: &Op| -> Result<_> {
            let request = match operation {
                Op::Upsert(set) => Operation::Set(set_request(set)?),
                Op::Delete(delete) => Operation::Delete(delete_request(delete)?),
            };
            Ok(pb::TransactionalStateOperation { request: Some(request) })
        };
        let request = pb::TransactionalStateRequest {
            operations: operations.iter().map(operation).collect::<Result<_>>()?,
            metadata: metadata.clone().into_iter().collect(),
        };
        TransactionalStateStoreClient::new(self.connection.clone()).transact(request).await.map_err(error)?;
        Ok(())
    }

    fn max_transaction_size(&self) -> Option<usize> {
        self.max_size.get().copied().flatten()
    }

    async fn transaction_limit(&self) -> Option<usize> {
        *self
            .max_size
            .get_or_init(|| async {
                let mut client = TransactionalStoreMultiMaxSizeClient::new(self.connection.clone());
                match client.multi_max_size(pb::MultiMaxSizeRequest {}).await {
                    Ok(reply) => usize::try_from(reply.into_inner().max_size).ok().filter(|size| *size > 0),
                    Err(status) => {
                        tracing::error!("failed to get multi max size from state store: {}", error(status));
                        None
                    }
                }
            })
            .await
    }

    /// Asked whatever the component claims, as daprd does: one without queries answers Unimplemented.
    fn may_query(&self) -> bool {
        true
    }

    async fn query(&self, request: &QueryRequest) -> Result<QueryReply> {
        let request = pb::QueryRequest {
            query: Some(query(&request.query)),
            metadata: request.metadata.clone().into_iter().collect(),
        };
        let mut client = QueriableStateStoreClient::new(self.connection.clone()).max_decoding_message_size(usize::MAX);
        let reply = client.query(request).await.map_err(error)?.into_inner();
        let item = |item: pb::QueryItem| QueryItem {
            key: item.key,
            data: item.data,
            etag: item.etag.map(|etag| etag.value),
            error: item.error,
            content_type: Some(item.content_type).filter(|text| !text.is_empty()),
        };
        Ok(QueryReply {
            results: reply.items.into_iter().map(item).collect(),
            token: reply.token,
            metadata: reply.metadata.into_iter().collect(),
        })
    }

    async fn ping(&self) -> Result<()> {
        self.client.clone().ping(pb::PingRequest {}).await.map_err(error)?;
        Ok(())
    }
}

/// On the wire an absent key is an empty value without an ETag.
fn get_reply(data: Bytes, etag: Option<pb::Etag>, metadata: Metadata, content_type: String) -> GetReply {
    let etag = etag.map(|etag| etag.value);
    GetReply {
        data: (!data.is_empty() || etag.is_some()).then_some(data),
        etag,
        metadata,
        content_type: Some(content_type).filter(|text| !text.is_empty()),
    }
}

fn get_request(request: &GetRequest) -> pb::GetRequest {
    pb::GetRequest {
        key: request.key.clone(),
        metadata: request.metadata.clone().into_iter().collect(),
        consistency: consistency(&request.consistency),
    }
}

fn set_request(request: &SetRequest) -> Result<pb::SetRequest> {
    request.options.check()?;
    if matches!(&request.value, Value::Json(text) if text.as_ref() == b"null") {
        return Err(Error::other("an attempt to set a nil value was received, try to use Delete instead"));
    }
    Ok(pb::SetRequest {
        key: request.key.clone(),
        value: request.value.bytes().clone(),
        etag: etag(request.etag()),
        metadata: request.metadata.clone().into_iter().collect(),
        options: Some(options(&request.options)),
        content_type: String::new(),
    })
}

fn delete_request(request: &DeleteRequest) -> Result<pb::DeleteRequest> {
    request.options.check()?;
    Ok(pb::DeleteRequest {
        key: request.key.clone(),
        etag: etag(request.etag()),
        metadata: request.metadata.clone().into_iter().collect(),
        options: Some(options(&request.options)),
    })
}

fn etag(etag: Option<&str>) -> Option<pb::Etag> {
    etag.map(|etag| pb::Etag { value: etag.to_owned() })
}

fn options(options: &Options) -> pb::StateOptions {
    let concurrency = match options.concurrency {
        Concurrency::FirstWrite => StateConcurrency::ConcurrencyFirstWrite,
        Concurrency::LastWrite => StateConcurrency::ConcurrencyLastWrite,
        Concurrency::Unspecified | Concurrency::Other(_) => StateConcurrency::ConcurrencyUnspecified,
    };
    pb::StateOptions { concurrency: concurrency.into(), consistency: consistency(&options.consistency) }
}

fn consistency(consistency: &Consistency) -> i32 {
    let consistency = match consistency {
        Consistency::Eventual => StateConsistency::ConsistencyEventual,
        Consistency::Strong => StateConsistency::ConsistencyStrong,
        Consistency::Unspecified | Consistency::Other(_) => StateConsistency::ConsistencyUnspecified,
    };
    consistency.into()
}

/// The query's parts. Each filter travels as its JSON in an `Any` without a type, as daprd sends it.
fn query(query: &serde_json::Value) -> pb::Query {
    let filter = query.get("filter").and_then(serde_json::Value::as_object);
    let sort = query.get("sort").and_then(serde_json::Value::as_array);
    let page = query.get("page");
    let text =
        |value: Option<&serde_json::Value>| value.and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    pb::Query {
        filter: filter
            .into_iter()
            .flatten()
            .map(|(name, value)| {
                let any = Any { type_url: String::new(), value: value.to_string().into_bytes() };
                (name.clone(), any)
            })
            .collect(),
        sort: sort
            .into_iter()
            .flatten()
            .map(|sorting| {
                let order = pb::sorting::Order::from_str_name(&text(sorting.get("order")));
                pb::Sorting { key: text(sorting.get("key")), order: order.unwrap_or_default().into() }
            })
            .collect(),
        pagination: Some(pb::Pagination {
            limit: page.and_then(|page| page.get("limit")).and_then(serde_json::Value::as_i64).unwrap_or_default(),
            token: text(page.and_then(|page| page.get("token"))),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_keeps_its_filters_as_json() {
        let query = query(&serde_json::json!({
            "filter": {"EQ": {"state": "CA"}},
            "sort": [{"key": "id", "order": "DESC"}, {"key": "x"}],
            "page": {"limit": 3, "token": "t"},
        }));
        assert_eq!(query.filter["EQ"].value, br#"{"state":"CA"}"#);
        assert_eq!(query.sort.iter().map(|sort| sort.order).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(query.pagination, Some(pb::Pagination { limit: 3, token: "t".to_owned() }));
    }

    #[test]
    fn an_empty_value_is_absent_only_without_an_etag() {
        let etag = Some(pb::Etag { value: "1".to_owned() });
        assert_eq!(get_reply(Bytes::new(), etag, Metadata::new(), String::new()).data, Some(Bytes::new()));
        assert_eq!(get_reply(Bytes::new(), None, Metadata::new(), String::new()).data, None);
    }
}
