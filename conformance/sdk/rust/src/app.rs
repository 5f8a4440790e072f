//! The application: Dapr's callbacks with the SDK's registry of handlers, and a gRPC service of its own beside them.

use std::net::Ipv4Addr;
use std::pin::Pin;

use dapr::appcallback::{
    AppCallbackService, BindingEventRequest, BindingEventResponse, Handler, HandlerMethod, InvokeRequest,
    InvokeResponse, JobEventRequest, JobEventResponse, ListInputBindingsResponse, ListTopicSubscriptionsResponse,
    TopicEventBulkRequest, TopicEventBulkResponse, TopicEventRequest, TopicEventResponse, TopicSubscription,
};
use dapr::dapr::proto::runtime::v1::app_callback_server::{AppCallback, AppCallbackServer};
use dapr::dapr::proto::runtime::v1::topic_event_bulk_request_entry::Event;
use dapr::dapr::proto::runtime::v1::topic_event_response::TopicEventResponseStatus as Answer;
use dapr::dapr::proto::runtime::v1::{BulkSubscribeConfig, TopicEventBulkResponseEntry, TopicRoutes, TopicRule};
use prost_types::Any;
use serde_json::json;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Request, Response, Status};

use crate::facts::Wrong;
use crate::inbox::Inbox;

/// What `build.rs` generates.
pub mod greeter {
    tonic::include_proto!("ottavo.sdk.Greeter");
}

pub const PUBSUB: &str = "pubsub";

/// Serves in the background.
pub async fn serve(port: u16, inbox: Inbox) -> Result<(), Wrong> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let server = tonic::transport::Server::builder()
        .add_service(AppCallbackServer::new(App::new(inbox)))
        .add_service(greeter::greeter_server::GreeterServer::new(Greeter))
        .serve_with_incoming(TcpListenerStream::new(listener));
    tokio::spawn(server);
    Ok(())
}

struct App {
    inbox: Inbox,
    /// The SDK's service; its subscriptions have a topic and nothing else, and it answers topics and jobs only.
    registered: AppCallbackService,
}

/// A handler in the SDK's registry: keeps events, and asks for the first of `retried` again.
struct Keep(&'static str, Inbox);

#[tonic::async_trait]
impl HandlerMethod for Keep {
    async fn handler(&self, event: TopicEventRequest) -> Result<Response<TopicEventResponse>, Status> {
        let count = self.1.put(self.0, event);
        let again = self.0 == "retried" && count == 1;
        Ok(answer(if again { Answer::Retry } else { Answer::Success }))
    }
}

fn answer(status: Answer) -> Response<TopicEventResponse> {
    Response::new(TopicEventResponse { status: status.into() })
}

impl App {
    fn new(inbox: Inbox) -> Self {
        let mut registered = AppCallbackService::new();
        for topic in ["programmatic", "retried", "dead", "bulk"] {
            let handler = Box::new(Keep(topic, inbox.clone()));
            registered.add_handler(Handler { pub_sub_name: PUBSUB.to_owned(), topic: topic.to_owned(), handler });
        }
        Self { inbox, registered }
    }

    /// Subscriptions with more than a topic.
    fn subscriptions() -> Vec<TopicSubscription> {
        let of = |topic: &str| TopicSubscription::new(PUBSUB.to_owned(), topic.to_owned(), None);
        let dead = |topic: &str| TopicSubscription { dead_letter_topic: "dead".to_owned(), ..of(topic) };
        let raw = [("rawPayload".to_owned(), "true".to_owned())].into();
        let rule = TopicRule { r#match: r#"event.type == "special""#.to_owned(), path: "/special".to_owned() };
        let bulk = BulkSubscribeConfig { enabled: true, max_messages_count: 10, max_await_duration_ms: 50 };
        vec![
            dead("dropped"),
            dead("refused"),
            TopicSubscription { metadata: raw, ..of("raw") },
            TopicSubscription {
                routes: Some(TopicRoutes { rules: vec![rule], default: "/otherwise".to_owned() }),
                ..of("routed")
            },
            TopicSubscription { bulk_subscribe: Some(bulk), ..of("together") },
        ]
    }
}

#[tonic::async_trait]
impl AppCallback for App {
    async fn on_invoke(&self, request: Request<InvokeRequest>) -> Result<Response<InvokeResponse>, Status> {
        let order = header(request.metadata());
        let request = request.into_inner();
        match request.method.as_str() {
            "echo" => {
                let body = request.data.map(|data| String::from_utf8_lossy(&data.value).into_owned());
                let value = json!({"body": body, "order": order, "type": request.content_type}).to_string();
                Ok(Response::new(InvokeResponse {
                    data: Some(Any { type_url: String::new(), value: value.into_bytes() }),
                    content_type: "application/json".to_owned(),
                }))
            }
            "failing" => Err(Status::new(Code::OutOfRange, "short and stout")),
            other => Err(Status::unimplemented(other.to_owned())),
        }
    }

    async fn list_topic_subscriptions(
        &self,
        request: Request<()>,
    ) -> Result<Response<ListTopicSubscriptionsResponse>, Status> {
        let mut response = self.registered.list_topic_subscriptions(request).await?;
        response.get_mut().subscriptions.extend(Self::subscriptions());
        Ok(response)
    }

    async fn on_topic_event(
        &self,
        request: Request<TopicEventRequest>,
    ) -> Result<Response<TopicEventResponse>, Status> {
        let event = request.get_ref();
        let (name, status) = match (event.topic.as_str(), event.path.as_str()) {
            ("dropped", _) => ("dropped", Answer::Drop),
            ("refused", _) => ("refused", Answer::Retry),
            ("raw", _) => ("raw", Answer::Success),
            (_, "/special") => ("special", Answer::Success),
            (_, "/otherwise") => ("otherwise", Answer::Success),
            // The route of resources/subscriptions.yaml.
            (_, "/declared") => ("declared", Answer::Success),
            _ => return self.registered.on_topic_event(request).await,
        };
        self.inbox.put(name, request.into_inner());
        Ok(answer(status))
    }

    async fn on_bulk_topic_event(
        &self,
        request: Request<TopicEventBulkRequest>,
    ) -> Result<Response<TopicEventBulkResponse>, Status> {
        let request = request.into_inner();
        let mut statuses = Vec::new();
        for entry in request.entries {
            let data = match entry.event {
                Some(Event::CloudEvent(event)) => event.data,
                Some(Event::Bytes(bytes)) => bytes,
                None => Vec::new(),
            };
            self.inbox.put("together", TopicEventRequest { data, ..Default::default() });
            statuses.push(TopicEventBulkResponseEntry { entry_id: entry.entry_id, status: Answer::Success.into() });
        }
        Ok(Response::new(TopicEventBulkResponse { statuses }))
    }

    async fn list_input_bindings(&self, _: Request<()>) -> Result<Response<ListInputBindingsResponse>, Status> {
        Ok(Response::new(ListInputBindingsResponse::default()))
    }

    async fn on_binding_event(
        &self,
        _: Request<BindingEventRequest>,
    ) -> Result<Response<BindingEventResponse>, Status> {
        Err(Status::unimplemented("no bindings"))
    }

    async fn on_job_event(&self, request: Request<JobEventRequest>) -> Result<Response<JobEventResponse>, Status> {
        self.registered.on_job_event(request).await
    }
}

struct Greeter;

#[tonic::async_trait]
impl greeter::greeter_server::Greeter for Greeter {
    async fn greet(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let order = header(request.metadata());
        let name = request.into_inner();
        if name.is_empty() {
            return Err(Status::out_of_range("who?"));
        }
        let mut response = Response::new(format!("hello {name}, order {order}"));
        response.metadata_mut().insert("x-spout", MetadataValue::from_static("here"));
        Ok(response)
    }

    type CountStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;

    async fn count(&self, request: Request<String>) -> Result<Response<Self::CountStream>, Status> {
        let last: u32 = request.into_inner().parse().map_err(|_| Status::invalid_argument("not a number"))?;
        Ok(Response::new(Box::pin(tokio_stream::iter((0..last).map(|number| Ok(number.to_string()))))))
    }
}

fn header(metadata: &MetadataMap) -> String {
    let value: Option<&MetadataValue<Ascii>> = metadata.get("x-order");
    value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
