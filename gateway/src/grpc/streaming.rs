//! `SubscribeTopicEventsAlpha1`: the application's stream of events and verdicts.

use http::Response;
use proto_dapr::runtime::subscribe_topic_events_request_alpha1::SubscribeTopicEventsRequestType as FromApp;
use proto_dapr::runtime::subscribe_topic_events_response_alpha1::SubscribeTopicEventsResponseType as ToApp;
use proto_dapr::runtime::*;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::codec::{EncodeBody, Streaming};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::{Call, frame, status};
use crate::body::Body;
use crate::error::table;
use crate::inbound::Inbound;
use crate::inbound::route::Rule;
use crate::inbound::stream::StreamSubscription;
use crate::inbound::subscription::Subscription;
use crate::loaded::SubscriptionSource;

type Requests = Streaming<SubscribeTopicEventsRequestAlpha1>;
type Replies = mpsc::Sender<Result<SubscribeTopicEventsResponseAlpha1, Status>>;

/// Answers at once with a stream; set-up errors are its status.
pub async fn subscribe_topic_events(call: Call) -> Response<Body> {
    use tonic::codec::Codec;
    let Call { context, body, limit, .. } = call;
    let mut codec = ProstCodec::<SubscribeTopicEventsResponseAlpha1, SubscribeTopicEventsRequestAlpha1>::default();
    let requests = Streaming::new_request(codec.decoder(), body, None, Some(limit));
    let (replies, receiver) = mpsc::channel(16);
    let runtime = context.runtime.clone();
    tokio::spawn(async move {
        if let Err(error) = serve(&runtime, requests, &replies).await {
            // The stream's reader may be gone; then nobody waits for the status.
            let _ = replies.send(Err(error)).await;
        }
    });
    stream(codec.encoder(), receiver, limit)
}

async fn serve(runtime: &crate::runtime::Runtime, mut requests: Requests, replies: &Replies) -> Result<(), Status> {
    let closing = runtime.closing.clone();
    let first = tokio::select! {
        first = requests.next() => first,
        () = closing.cancelled() => return Err(Status::unknown("api server closed")),
        () = replies.closed() => return Ok(()),
    };
    let first = match first {
        None => return Err(Status::unknown("EOF")),
        Some(first) => first?,
    };
    let Some(FromApp::InitialRequest(initial)) = first.subscribe_topic_events_request_type else {
        return Err(Status::unknown("initial request is required"));
    };
    if initial.pubsub_name.is_empty() {
        return Err(Status::unknown("pubsubName is required"));
    }
    if initial.topic.is_empty() {
        return Err(Status::unknown("topic is required"));
    }
    if !runtime.shared.loaded.current().pubsub.contains_key(initial.pubsub_name.as_str()) {
        let error = table::pubsub::not_found(&initial.pubsub_name, components::Metadata::new());
        runtime.count_error(&error);
        return Err(status::status(&error));
    }
    let inbound: &Inbound = &runtime.inbound;
    let (events, event_queue) = mpsc::channel(16);
    let subscription = inbound.open_stream(subscription(initial)?, events).await.map_err(Status::unknown)?;
    let initial = ToApp::InitialResponse(SubscribeTopicEventsResponseInitialAlpha1 {});
    let is_open = replies.send(Ok(reply(initial))).await.is_ok();
    let outcome =
        if is_open { relay(&mut requests, replies, event_queue, &subscription, &closing).await } else { Ok(()) };
    subscription.close().await;
    outcome
}

fn subscription(initial: SubscribeTopicEventsRequestInitialAlpha1) -> Result<Subscription, Status> {
    Ok(Subscription {
        pubsub: initial.pubsub_name,
        topic: initial.topic,
        metadata: initial.metadata.into_iter().collect(),
        rules: vec![Rule::new("", "/").map_err(Status::unknown)?],
        dead_letter_topic: initial.dead_letter_topic.unwrap_or_default(),
        bulk: None,
        source: SubscriptionSource::Streaming,
    })
}

fn reply(kind: ToApp) -> SubscribeTopicEventsResponseAlpha1 {
    SubscribeTopicEventsResponseAlpha1 { subscribe_topic_events_response_type: Some(kind) }
}

/// Events out, verdicts in, until either side ends. A sidecar that closes waits for the verdicts under way.
async fn relay(
    requests: &mut Requests,
    replies: &Replies,
    mut events: mpsc::Receiver<TopicEventRequest>,
    subscription: &StreamSubscription,
    closing: &CancellationToken,
) -> Result<(), Status> {
    let mut is_draining = false;
    loop {
        if is_draining && !subscription.is_busy() {
            return Err(Status::unknown("stream closed"));
        }
        tokio::select! {
            event = events.recv() => {
                let Some(event) = event else { return Ok(()) };
                if replies.send(Ok(reply(ToApp::EventMessage(event)))).await.is_err() {
                    return Ok(());
                }
            }
            request = requests.next() => match request {
                None => return Err(Status::unknown("EOF")),
                Some(Err(error)) if error.code() == Code::Cancelled => return Ok(()),
                Some(request) => match request?.subscribe_topic_events_request_type {
                    Some(FromApp::EventProcessed(processed)) => {
                        subscription.processed(&processed.id, processed.status.map_or(0, |status| status.status));
                    }
                    _ => return Err(Status::unknown("duplicate initial request received")),
                },
            },
            () = closing.cancelled(), if !is_draining => {
                is_draining = true;
                subscription.drain();
            }
            () = replies.closed() => return Ok(()),
        }
    }
}

/// `SubscribeActorEventsAlpha1` while there are no actors: the stream is accepted, and nothing ever comes (as daprd
/// 1.18 without placement).
pub async fn subscribe_actor_events(call: Call) -> Response<Body> {
    use tonic::codec::Codec;
    if call.context.runtime.invoke.has_http_app() {
        return frame::status(&Status::failed_precondition("actor callback streaming requires a gRPC app channel"));
    }
    let closing = call.context.runtime.closing.clone();
    let mut codec = ProstCodec::<SubscribeActorEventsResponseAlpha1, SubscribeActorEventsRequestAlpha1>::default();
    let mut requests = Streaming::new_request(codec.decoder(), call.body, None, Some(call.limit));
    let first = match requests.next().await {
        None => return frame::status(&Status::unknown("EOF")),
        Some(Err(error)) => return frame::status(&error),
        Some(Ok(first)) => first.request_type,
    };
    let Some(subscribe_actor_events_request_alpha1::RequestType::InitialRequest(_)) = first else {
        let text = "first message must be SubscribeActorEventsRequestInitialAlpha1";
        return frame::status(&Status::invalid_argument(text));
    };
    let (replies, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        use subscribe_actor_events_response_alpha1::ResponseType;
        let initial = ResponseType::InitialResponse(SubscribeActorEventsResponseInitialAlpha1 {});
        let initial = SubscribeActorEventsResponseAlpha1 { response_type: Some(initial) };
        if replies.send(Ok::<_, Status>(initial)).await.is_err() {
            return;
        }
        tokio::select! {
            () = async { while let Some(Ok(_)) = requests.next().await {} } => {}
            () = closing.cancelled() => {}
            () = replies.closed() => {}
        }
    });
    stream(codec.encoder(), receiver, call.limit)
}

/// A streamed answer that ends with the channel.
fn stream<E>(encoder: E, receiver: mpsc::Receiver<Result<E::Item, Status>>, limit: usize) -> Response<Body>
where
    E: tonic::codec::Encoder<Error = Status> + Send + 'static,
    E::Item: Send + 'static,
{
    let compression = tonic::codec::SingleMessageCompressionOverride::default();
    let replies = EncodeBody::new_server(encoder, ReceiverStream::new(receiver), None, compression, Some(limit));
    let mut response = Response::new(Body::stream(replies));
    let kind = http::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
