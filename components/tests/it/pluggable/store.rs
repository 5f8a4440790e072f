//! State stores.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use components::metadata::Properties;
use components::state::{
    Concurrency, Consistency, DeleteRequest, GetRequest, Op, Options, QueryRequest, SetRequest, StateStore, Value,
};
use components::{Error, ErrorKind, Metadata};
use prost::Message;
use proto_dapr::components as pb;
use proto_dapr::components::queriable_state_store_server::{QueriableStateStore, QueriableStateStoreServer};
use proto_dapr::components::state_store_server::{StateStore as StateStoreService, StateStoreServer};
use proto_dapr::components::transactional_state_operation::Request as Operation;
use proto_dapr::components::transactional_state_store_server::{
    TransactionalStateStore, TransactionalStateStoreServer,
};
use proto_dapr::components::transactional_store_multi_max_size_server::{
    TransactionalStoreMultiMaxSize, TransactionalStoreMultiMaxSizeServer,
};
use proto_dapr::google_rpc;
use proto_dapr::google_rpc::bad_request::FieldViolation;
use tonic::service::Routes;
use tonic::{Code, Request, Response, Status};

use super::server::Component;
use super::state_store;
use crate::fixtures::eventually;
use crate::state::cases;

const SERVICES: [&str; 4] =
    ["StateStore", "TransactionalStateStore", "QueriableStateStore", "TransactionalStoreMultiMaxSize"];

/// The process's store: an in-memory one, unless it is told to answer with a status.
#[derive(Clone)]
pub struct Store {
    store: Arc<dyn StateStore>,
    features: Vec<&'static str>,
    answer: Option<Status>,
    sizes_asked: Arc<AtomicUsize>,
    instances: Arc<std::sync::Mutex<Vec<String>>>,
    properties: Arc<std::sync::Mutex<Properties>>,
}

impl Store {
    pub fn in_memory() -> Self {
        Self {
            store: Arc::new(components::state::in_memory::InMemory::new()),
            features: vec!["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE", "DELETE_WITH_PREFIX"],
            answer: None,
            sizes_asked: Arc::default(),
            instances: Arc::default(),
            properties: Arc::default(),
        }
    }

    fn enter<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let instance = request.metadata().get("x-component-instance").expect("every call names its instance");
        self.instances.lock().unwrap().push(instance.to_str().unwrap().to_owned());
        self.answer.clone().map_or(Ok(()), Err)
    }
}

pub fn routes(store: Store) -> Routes {
    Routes::new(StateStoreServer::new(store.clone()).max_decoding_message_size(usize::MAX))
        .add_service(TransactionalStateStoreServer::new(store.clone()))
        .add_service(QueriableStateStoreServer::new(store.clone()))
        .add_service(TransactionalStoreMultiMaxSizeServer::new(store))
}

fn status(error: Error) -> Status {
    let code = match error.kind() {
        ErrorKind::EtagMismatch => Code::FailedPrecondition,
        ErrorKind::EtagInvalid => Code::InvalidArgument,
        _ => return Status::unknown(error.message()),
    };
    let violation = FieldViolation {
        field: "etag".to_owned(),
        description: error.message().to_owned(),
        ..FieldViolation::default()
    };
    let detail = google_rpc::BadRequest { field_violations: vec![violation] };
    with_detail(code, "etag", "google.rpc.BadRequest", &detail)
}

fn with_detail(code: Code, message: &str, name: &str, detail: &impl Message) -> Status {
    let detail = prost_types::Any { type_url: format!("type.googleapis.com/{name}"), value: detail.encode_to_vec() };
    let details = google_rpc::Status { code: code.into(), message: message.to_owned(), details: vec![detail] };
    Status::with_details(code, message, details.encode_to_vec().into())
}

fn options(options: Option<pb::StateOptions>) -> Options {
    let options = options.unwrap_or_default();
    Options {
        concurrency: match options.concurrency {
            1 => Concurrency::FirstWrite,
            2 => Concurrency::LastWrite,
            _ => Concurrency::Unspecified,
        },
        consistency: match options.consistency {
            1 => Consistency::Eventual,
            2 => Consistency::Strong,
            _ => Consistency::Unspecified,
        },
    }
}

fn set(request: pb::SetRequest) -> SetRequest {
    SetRequest {
        key: request.key,
        value: Value::Bytes(request.value),
        etag: request.etag.map(|etag| etag.value),
        options: options(request.options),
        metadata: request.metadata.into_iter().collect(),
    }
}

fn delete(request: pb::DeleteRequest) -> DeleteRequest {
    DeleteRequest {
        key: request.key,
        etag: request.etag.map(|etag| etag.value),
        options: options(request.options),
        metadata: request.metadata.into_iter().collect(),
    }
}

fn get(request: pb::GetRequest) -> GetRequest {
    GetRequest { key: request.key, ..GetRequest::default() }
}

#[tonic::async_trait]
impl StateStoreService for Store {
    async fn init(&self, request: Request<pb::InitRequest>) -> Result<Response<pb::InitResponse>, Status> {
        self.enter(&request)?;
        *self.properties.lock().unwrap() = Properties::new(request.into_inner().metadata.unwrap().properties);
        Ok(Response::new(Default::default()))
    }

    async fn features(&self, request: Request<pb::FeaturesRequest>) -> Result<Response<pb::FeaturesResponse>, Status> {
        self.enter(&request)?;
        let features = self.features.iter().map(|name| (*name).to_owned()).collect();
        Ok(Response::new(pb::FeaturesResponse { features }))
    }

    async fn delete(&self, request: Request<pb::DeleteRequest>) -> Result<Response<pb::DeleteResponse>, Status> {
        self.enter(&request)?;
        self.store.delete(&delete(request.into_inner())).await.map_err(status)?;
        Ok(Response::new(Default::default()))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Result<Response<pb::GetResponse>, Status> {
        self.enter(&request)?;
        let reply = self.store.get(&get(request.into_inner())).await.map_err(status)?;
        Ok(Response::new(pb::GetResponse {
            data: reply.data.unwrap_or_default(),
            etag: reply.etag.map(|value| pb::Etag { value }),
            metadata: reply.metadata.into_iter().collect(),
            content_type: String::new(),
        }))
    }

    async fn set(&self, request: Request<pb::SetRequest>) -> Result<Response<pb::SetResponse>, Status> {
        self.enter(&request)?;
        self.store.set(&set(request.into_inner())).await.map_err(status)?;
        Ok(Response::new(Default::default()))
    }

    async fn ping(&self, request: Request<pb::PingRequest>) -> Result<Response<pb::PingResponse>, Status> {
        self.enter(&request)?;
        Ok(Response::new(Default::default()))
    }

    async fn bulk_delete(
        &self,
        request: Request<pb::BulkDeleteRequest>,
    ) -> Result<Response<pb::BulkDeleteResponse>, Status> {
        self.enter(&request)?;
        for item in request.into_inner().items {
            self.store.delete(&delete(item)).await.map_err(status)?;
        }
        Ok(Response::new(Default::default()))
    }

    async fn bulk_get(&self, request: Request<pb::BulkGetRequest>) -> Result<Response<pb::BulkGetResponse>, Status> {
        self.enter(&request)?;
        let mut items = Vec::new();
        for request in request.into_inner().items {
            let reply = self.store.get(&get(request.clone())).await.map_err(status)?;
            items.push(pb::BulkStateItem {
                key: request.key,
                data: reply.data.unwrap_or_default(),
                etag: reply.etag.map(|value| pb::Etag { value }),
                ..pb::BulkStateItem::default()
            });
        }
        Ok(Response::new(pb::BulkGetResponse { items }))
    }

    async fn bulk_set(&self, request: Request<pb::BulkSetRequest>) -> Result<Response<pb::BulkSetResponse>, Status> {
        self.enter(&request)?;
        for item in request.into_inner().items {
            self.store.set(&set(item)).await.map_err(status)?;
        }
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl TransactionalStateStore for Store {
    async fn transact(
        &self,
        request: Request<pb::TransactionalStateRequest>,
    ) -> Result<Response<pb::TransactionalStateResponse>, Status> {
        self.enter(&request)?;
        let operations =
            request.into_inner().operations.into_iter().map(|operation| match operation.request.unwrap() {
                Operation::Set(request) => Op::Upsert(set(request)),
                Operation::Delete(request) => Op::Delete(delete(request)),
            });
        self.store.transact(&operations.collect::<Vec<_>>(), &Metadata::new()).await.map_err(status)?;
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl QueriableStateStore for Store {
    async fn query(&self, request: Request<pb::QueryRequest>) -> Result<Response<pb::QueryResponse>, Status> {
        self.enter(&request)?;
        let query = request.into_inner().query.unwrap();
        let item = pb::QueryItem {
            key: query.pagination.unwrap().token,
            data: query.filter["EQ"].value.clone().into(),
            ..pb::QueryItem::default()
        };
        Ok(Response::new(pb::QueryResponse { items: vec![item], ..pb::QueryResponse::default() }))
    }
}

#[tonic::async_trait]
impl TransactionalStoreMultiMaxSize for Store {
    async fn multi_max_size(
        &self,
        request: Request<pb::MultiMaxSizeRequest>,
    ) -> Result<Response<pb::MultiMaxSizeResponse>, Status> {
        self.enter(&request)?;
        self.sizes_asked.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(pb::MultiMaxSizeResponse { max_size: 7 }))
    }
}

#[tokio::test]
async fn a_store_behaves_as_the_one_behind_it() {
    let process = Store::in_memory();
    let component = Component::start(&SERVICES, routes(process.clone())).await;
    let store = state_store(&component, &[("some", "property")]).await;
    cases::run(&*store).await;
    assert!(process.instances.lock().unwrap().iter().all(|instance| instance == "fixture"));
    assert_eq!(process.properties.lock().unwrap().get(&["some"]), Some("property"));
}

#[tokio::test]
async fn the_size_of_transactions_is_asked_once_and_only_when_needed() {
    let process = Store::in_memory();
    let component = Component::start(&SERVICES, routes(process.clone())).await;
    let store = state_store(&component, &[]).await;
    assert_eq!((store.max_transaction_size(), process.sizes_asked.load(Ordering::SeqCst)), (None, 0));
    assert_eq!((store.transaction_limit().await, store.transaction_limit().await), (Some(7), Some(7)));
    assert_eq!((store.max_transaction_size(), process.sizes_asked.load(Ordering::SeqCst)), (Some(7), 1));
}

#[tokio::test]
async fn a_store_without_abilities_claims_none() {
    let component =
        Component::start(&["StateStore"], routes(Store { features: Vec::new(), ..Store::in_memory() })).await;
    let store = state_store(&component, &[]).await;
    assert_eq!(store.features(), components::state::Features::default());
    assert_eq!(store.transaction_limit().await, None);
    cases::run(&*store).await;
}

#[tokio::test]
async fn a_query_passes_through() {
    let component =
        Component::start(&SERVICES, routes(Store { features: vec!["QUERY_API"], ..Store::in_memory() })).await;
    let store = state_store(&component, &[]).await;
    let query = serde_json::json!({"filter": {"EQ": {"a": 1}}, "page": {"limit": 1, "token": "next"}});
    let reply = store.query(&QueryRequest { query, metadata: Metadata::new() }).await.unwrap();
    assert_eq!((reply.results[0].key.as_str(), reply.results[0].data.as_ref()), ("next", &br#"{"a":1}"#[..]));
}

#[tokio::test]
async fn a_components_own_status_is_kept() {
    let metadata = [("kit_error", "true"), ("http_code", "506"), ("tag", "ERR")];
    let info = google_rpc::ErrorInfo {
        reason: "WHY".to_owned(),
        metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..google_rpc::ErrorInfo::default()
    };
    let answer = with_detail(Code::DataLoss, "get-error", "google.rpc.ErrorInfo", &info);
    let process = Store::in_memory();
    let component = Component::start(&SERVICES, routes(process.clone())).await;
    let store = state_store(&component, &[]).await;
    drop(component);
    let component = Component::start(&SERVICES, routes(Store { answer: Some(answer), ..process })).await;
    // The first process is gone: its store says so, and a store on the second cannot be built.
    eventually("the store is unavailable", || async {
        matches!(store.ping().await, Err(error) if *error.kind() == ErrorKind::Unavailable)
    })
    .await;
    let error = super::build(component.folder(), "state.test", &[]).await.err().expect("does not build");
    assert_eq!(error.message(), "api error: code = DataLoss desc = get-error");
    let ErrorKind::Foreign(status) = error.kind() else { panic!("{error:?}") };
    assert_eq!(status.api_error().unwrap().http_code, 506);
}
