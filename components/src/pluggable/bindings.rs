//! Bindings in other processes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use proto_dapr::components as pb;
use proto_dapr::components::input_binding_client::InputBindingClient;
use proto_dapr::components::output_binding_client::OutputBindingClient;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::socket::{Connection, Socket, init_metadata};
use super::status::error;
use super::stream::{Retry, hang_up, outgoing};
use crate::bindings::{
    Event, EventHandler, InputBinding, InvokeReply, InvokeRequest, OutputBinding, Reader, wants_direction,
};
use crate::component::{Built, InitContext, Spec};
use crate::registry::Registry;
use crate::task::Task;
use crate::{Error, Result};

pub(super) const INPUT: &str = "dapr.proto.components.v1.InputBinding";
pub(super) const OUTPUT: &str = "dapr.proto.components.v1.OutputBinding";

/// What a socket serves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Directions {
    pub(super) input: bool,
    pub(super) output: bool,
}

pub(super) fn register(registry: &mut Registry, kind_and_name: &str, socket: Socket, directions: Directions) {
    registry.add(kind_and_name, "v1", &[], move |spec, context| build(socket.clone(), directions, spec, context));
}

/// Initialises the directions that the socket has and the component's `direction` does not rule out.
async fn build(socket: Socket, directions: Directions, spec: Spec, context: InitContext) -> Result<Built> {
    let mut input: Option<Arc<dyn InputBinding>> = None;
    let mut output: Option<Arc<dyn OutputBinding>> = None;
    if directions.input && wants_direction(&spec.properties, "input") {
        let connection = socket.connect(&spec.name, context.init_timeout).await?;
        let mut client = InputBindingClient::new(connection).max_decoding_message_size(usize::MAX);
        client.init(pb::InputBindingInitRequest { metadata: init_metadata(&spec.properties) }).await.map_err(error)?;
        input = Some(Arc::new(Input { client }));
    }
    if directions.output && wants_direction(&spec.properties, "output") {
        let connection = socket.connect(&spec.name, context.init_timeout).await?;
        let mut client = OutputBindingClient::new(connection).max_decoding_message_size(usize::MAX);
        client.init(pb::OutputBindingInitRequest { metadata: init_metadata(&spec.properties) }).await.map_err(error)?;
        let operations = client.list_operations(pb::ListOperationsRequest {}).await.map_err(error)?;
        output = Some(Arc::new(Output { client, operations: operations.into_inner().operations }));
    }
    Ok(Built::Binding { input, output })
}

struct Output {
    client: OutputBindingClient<Connection>,
    operations: Vec<String>,
}

#[async_trait]
impl OutputBinding for Output {
    fn operations(&self) -> Vec<String> {
        self.operations.clone()
    }

    async fn invoke(&self, request: InvokeRequest) -> Result<Option<InvokeReply>> {
        let request = pb::InvokeRequest {
            data: request.data,
            metadata: request.metadata.into_iter().collect(),
            operation: request.operation,
        };
        let reply = self.client.clone().invoke(request).await.map_err(error)?.into_inner();
        Ok(Some(InvokeReply {
            data: reply.data,
            metadata: reply.metadata.into_iter().collect(),
            content_type: Some(reply.content_type).filter(|text| !text.is_empty()),
        }))
    }
}

struct Input {
    client: InputBindingClient<Connection>,
}

#[async_trait]
impl InputBinding for Input {
    async fn read(&self, handler: Arc<dyn EventHandler>) -> Result<Box<dyn Reader>> {
        let (ready, is_ready) = oneshot::channel();
        let closing = Arc::new(AtomicBool::new(false));
        let reading = Reading { client: self.client.clone(), handler, closing: closing.clone() };
        let task = Task::spawn(|token| reading.run(token, ready));
        match is_ready.await {
            Ok(Ok(())) => Ok(Box::new(Running { task, closing })),
            Ok(Err(error)) => Err(error.context("unable to read from binding")),
            Err(_) => Err(Error::other("unable to read from binding: the reader ended")),
        }
    }
}

struct Running {
    task: Task,
    closing: Arc<AtomicBool>,
}

#[async_trait]
impl Reader for Running {
    async fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.task.stop().await;
    }
}

type Ready = oneshot::Sender<Result<()>>;

struct Reading {
    client: InputBindingClient<Connection>,
    handler: Arc<dyn EventHandler>,
    /// Events that come now are refused, while those in hand are finished.
    closing: Arc<AtomicBool>,
}

impl Reading {
    async fn run(self, token: CancellationToken, ready: Ready) {
        let mut ready = Some(ready);
        let mut retry = Retry::default();
        while let Err(status) = self.session(&token, &mut ready).await {
            if let Some(ready) = ready.take() {
                let _ = ready.send(Err(error(status)));
                return;
            }
            tracing::error!("failed to receive binding message: {}", error(status));
            if !retry.wait(&token).await {
                return;
            }
        }
    }

    /// One stream. Returns when the reader is closed, or fails when the stream ended otherwise.
    async fn session(&self, token: &CancellationToken, ready: &mut Option<Ready>) -> Result<(), Status> {
        let (sender, requests, mut taken) = outgoing(None);
        let mut client = self.client.clone();
        let mut call = Box::pin(client.read(requests));
        let mut replies = loop {
            tokio::select! {
                () = token.cancelled() => return Ok(()),
                Ok(()) = &mut taken, if ready.is_some() => {
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(Ok(()));
                    }
                }
                reply = &mut call => break reply?.into_inner(),
            }
        };
        if let Some(ready) = ready.take() {
            let _ = ready.send(Ok(()));
        }
        // Events of one stream are handled concurrently. Should the stream break, those in hand still finish.
        let mut handlers = JoinSet::new();
        let ended = loop {
            tokio::select! {
                () = token.cancelled(), if handlers.is_empty() => break None,
                Some(joined) = handlers.join_next(), if !handlers.is_empty() => {
                    if let Err(panic) = joined {
                        tracing::error!("handling an event of a binding ended by a panic: {panic}");
                    }
                }
                event = replies.message() => match event {
                    Ok(Some(event)) if self.closing.load(Ordering::Acquire) => refuse(event, &sender),
                    Ok(Some(event)) => {
                        handlers.spawn(answer(self.handler.clone(), event, sender.clone()));
                    }
                    Ok(None) => break Some(Status::unavailable("the component ended the stream")),
                    Err(status) => break Some(status),
                },
            }
        };
        while handlers.join_next().await.is_some() {}
        match ended {
            Some(status) if !token.is_cancelled() => Err(status),
            _ => {
                hang_up(sender, replies).await;
                Ok(())
            }
        }
    }
}

/// Handles an event and gives the component the application's answer.
async fn answer(
    handler: Arc<dyn EventHandler>,
    event: pb::ReadResponse,
    sender: mpsc::UnboundedSender<pb::ReadRequest>,
) {
    let message_id = event.message_id;
    let event = Event {
        data: event.data,
        metadata: event.metadata.into_iter().collect(),
        content_type: Some(event.content_type).filter(|text| !text.is_empty()),
    };
    let answer = match handler.handle(event).await {
        Ok(data) => pb::ReadRequest { response_data: data.unwrap_or_default(), message_id, response_error: None },
        Err(error) => {
            tracing::error!("error when handling message for message: {message_id}: {error}");
            refusal(message_id, error.message())
        }
    };
    if sender.send(answer).is_err() {
        tracing::error!("an event of a binding was handled, but its stream has ended");
    }
}

fn refuse(event: pb::ReadResponse, sender: &mpsc::UnboundedSender<pb::ReadRequest>) {
    // A stream that has ended meanwhile needs no refusal.
    let _ = sender.send(refusal(event.message_id, "input binding is closed"));
}

fn refusal(message_id: String, text: &str) -> pb::ReadRequest {
    let error = pb::AckResponseError { message: text.to_owned() };
    pb::ReadRequest { message_id, response_error: Some(error), ..pb::ReadRequest::default() }
}
