//! Bindings of both directions on one socket.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use components::bindings::{Event, EventHandler, InvokeRequest};
use components::{Built, Error, Metadata, Result};
use futures::{Stream, StreamExt};
use proto_dapr::components as pb;
use proto_dapr::components::input_binding_server::{InputBinding as InputService, InputBindingServer};
use proto_dapr::components::output_binding_server::{OutputBinding as OutputService, OutputBindingServer};
use tokio::sync::{Mutex, Semaphore, mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::build;
use super::server::Component;
use crate::fixtures::eventually;

/// The process's binding: sends what the test gives it, keeps the answers.
#[derive(Clone, Default)]
struct Binding {
    events: Arc<Mutex<Option<mpsc::UnboundedSender<Result<pb::ReadResponse, Status>>>>>,
    answers: Arc<Mutex<Vec<pb::ReadRequest>>>,
    initialised: Arc<Mutex<Vec<&'static str>>>,
}

impl Binding {
    async fn start(&self) -> Component {
        let routes =
            Routes::new(InputBindingServer::new(self.clone())).add_service(OutputBindingServer::new(self.clone()));
        Component::start(&["InputBinding", "OutputBinding"], routes).await
    }

    async fn send(&self, id: &str) {
        eventually("the stream is up", || async { self.events.lock().await.is_some() }).await;
        let event = pb::ReadResponse {
            data: Bytes::copy_from_slice(id.as_bytes()),
            message_id: id.to_owned(),
            ..pb::ReadResponse::default()
        };
        self.events.lock().await.as_ref().unwrap().send(Ok(event)).unwrap();
    }

    /// The answers so far as `id=data` or `id!error`.
    async fn answers(&self) -> Vec<String> {
        let text = |answer: &pb::ReadRequest| match &answer.response_error {
            Some(error) => format!("{}!{}", answer.message_id, error.message),
            None => format!("{}={}", answer.message_id, String::from_utf8_lossy(&answer.response_data)),
        };
        self.answers.lock().await.iter().map(text).collect()
    }
}

#[tonic::async_trait]
impl InputService for Binding {
    async fn init(
        &self,
        _: Request<pb::InputBindingInitRequest>,
    ) -> Result<Response<pb::InputBindingInitResponse>, Status> {
        self.initialised.lock().await.push("input");
        Ok(Response::new(Default::default()))
    }

    type ReadStream = Pin<Box<dyn Stream<Item = Result<pb::ReadResponse, Status>> + Send>>;

    async fn read(&self, request: Request<Streaming<pb::ReadRequest>>) -> Result<Response<Self::ReadStream>, Status> {
        let (sender, stream) = mpsc::unbounded_channel();
        *self.events.lock().await = Some(sender);
        let (events, answers) = (self.events.clone(), self.answers.clone());
        tokio::spawn(async move {
            let mut requests = request.into_inner();
            while let Ok(Some(answer)) = requests.message().await {
                answers.lock().await.push(answer);
            }
            events.lock().await.take();
        });
        Ok(Response::new(UnboundedReceiverStream::new(stream).boxed()))
    }

    async fn ping(&self, _: Request<pb::PingRequest>) -> Result<Response<pb::PingResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

#[tonic::async_trait]
impl OutputService for Binding {
    async fn init(
        &self,
        _: Request<pb::OutputBindingInitRequest>,
    ) -> Result<Response<pb::OutputBindingInitResponse>, Status> {
        self.initialised.lock().await.push("output");
        Ok(Response::new(Default::default()))
    }

    async fn invoke(&self, request: Request<pb::InvokeRequest>) -> Result<Response<pb::InvokeResponse>, Status> {
        let request = request.into_inner();
        if request.operation != "echo" {
            return Err(Status::invalid_argument("what?"));
        }
        Ok(Response::new(pb::InvokeResponse {
            data: request.data,
            metadata: request.metadata,
            content_type: String::new(),
        }))
    }

    async fn list_operations(
        &self,
        _: Request<pb::ListOperationsRequest>,
    ) -> Result<Response<pb::ListOperationsResponse>, Status> {
        Ok(Response::new(pb::ListOperationsResponse { operations: vec!["echo".to_owned()] }))
    }

    async fn ping(&self, _: Request<pb::PingRequest>) -> Result<Response<pb::PingResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// Answers with the event's data once a permit is there; fails what is called `bad`.
struct Answer {
    permits: Semaphore,
    in_hand: AtomicUsize,
}

#[async_trait]
impl EventHandler for Answer {
    async fn handle(&self, event: Event) -> Result<Option<Bytes>> {
        self.in_hand.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.unwrap().forget();
        if event.data.as_ref() == b"bad" { Err(Error::other("no")) } else { Ok(Some(event.data)) }
    }
}

#[tokio::test]
async fn events_are_answered_concurrently_and_refused_while_closing() {
    let process = Binding::default();
    let component = process.start().await;
    let Built::Binding { input: Some(input), .. } = build(component.folder(), "bindings.test", &[]).await.unwrap()
    else {
        panic!("no input")
    };
    let handler = Arc::new(Answer { permits: Semaphore::new(0), in_hand: AtomicUsize::new(0) });
    let reader = input.read(handler.clone()).await.unwrap();
    process.send("a").await;
    process.send("bad").await;
    eventually("both are in hand", || async { handler.in_hand.load(Ordering::SeqCst) == 2 }).await;
    let during = async {
        // What comes from now on is refused, without waiting for them.
        eventually("the late event is refused", || async {
            process.send("late").await;
            process.answers().await.contains(&"late!input binding is closed".to_owned())
        })
        .await;
        handler.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    };
    tokio::join!(reader.close(), during);
    let mut answers = process.answers().await;
    answers.retain(|answer| !answer.starts_with("late"));
    answers.sort();
    assert_eq!(answers, ["a=a", "bad!no"]);
    eventually("the stream has ended", || async { process.events.lock().await.is_none() }).await;
}

#[tokio::test]
async fn an_output_passes_the_call_through() {
    let process = Binding::default();
    let component = process.start().await;
    let Built::Binding { output: Some(output), .. } = build(component.folder(), "bindings.test", &[]).await.unwrap()
    else {
        panic!("no output")
    };
    assert_eq!(output.operations(), ["echo"]);
    let metadata = Metadata::from([("k".to_owned(), "v".to_owned())]);
    let request = InvokeRequest { operation: "echo".to_owned(), data: Bytes::from_static(b"x"), metadata };
    let reply = output.invoke(request).await.unwrap().unwrap();
    assert_eq!((reply.data.as_ref(), reply.metadata["k"].as_str()), (&b"x"[..], "v"));
    let error = output.invoke(InvokeRequest::default()).await.err().expect("refused");
    assert_eq!(error.message(), "rpc error: code = InvalidArgument desc = what?");
}

#[tokio::test]
async fn a_direction_that_is_ruled_out_is_not_initialised() {
    let process = Binding::default();
    let component = process.start().await;
    let built = build(component.folder(), "bindings.test", &[("direction", "output")]).await.unwrap();
    assert!(matches!(built, Built::Binding { input: None, output: Some(_) }));
    assert_eq!(*process.initialised.lock().await, ["output"]);
}
