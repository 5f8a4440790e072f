//! Callbacks of a gRPC application: `AppCallback` and its companions (as daprd 1.18).

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::HeaderMap;
use prost::Message;
use proto_dapr::common::{InvokeRequest, InvokeResponse};
use proto_dapr::runtime::*;
use tonic::{Code, Status};

use super::{AppChannel, TOKEN_HEADER, Transport};
use crate::client::grpc::{Failure, Reply};
use crate::telemetry::metrics::GrpcCall;

/// A callback under its name and a former one, which applications built against older SDKs have alone.
struct Renamed {
    now: &'static str,
    before: &'static str,
    /// Where the channel remembers which of them the application knows.
    index: usize,
}

const ON_BULK_TOPIC_EVENT: Renamed = Renamed {
    now: "/dapr.proto.runtime.v1.AppCallback/OnBulkTopicEvent",
    before: "/dapr.proto.runtime.v1.AppCallbackAlpha/OnBulkTopicEventAlpha1",
    index: 0,
};

const ON_JOB_EVENT: Renamed = Renamed {
    now: "/dapr.proto.runtime.v1.AppCallback/OnJobEvent",
    before: "/dapr.proto.runtime.v1.AppCallbackAlpha/OnJobEventAlpha1",
    index: 1,
};

impl AppChannel {
    /// A call of a method. The status of a failure is the application's.
    ///
    /// # Errors
    /// The outer one while the application is unhealthy.
    pub async fn on_invoke(
        &self,
        message: &InvokeRequest,
        metadata: HeaderMap,
    ) -> Result<Result<Reply<InvokeResponse>, Failure>, super::AppError> {
        self.gate()?;
        let _slot = self.slot().await;
        Ok(self.callback("/dapr.proto.runtime.v1.AppCallback/OnInvoke", message, metadata).await)
    }

    pub async fn on_topic_event(
        &self,
        message: TopicEventRequest,
        metadata: HeaderMap,
    ) -> Result<TopicEventResponse, Status> {
        let _slot = self.slot().await;
        self.plain("/dapr.proto.runtime.v1.AppCallback/OnTopicEvent", &message, metadata).await
    }

    pub async fn on_bulk_topic_event(
        &self,
        message: TopicEventBulkRequest,
        metadata: HeaderMap,
    ) -> Result<TopicEventBulkResponse, Status> {
        let _slot = self.slot().await;
        self.renamed(&ON_BULK_TOPIC_EVENT, &message, metadata).await
    }

    pub async fn on_binding_event(
        &self,
        message: BindingEventRequest,
        metadata: HeaderMap,
    ) -> Result<BindingEventResponse, Status> {
        let _slot = self.slot().await;
        self.plain("/dapr.proto.runtime.v1.AppCallback/OnBindingEvent", &message, metadata).await
    }

    pub async fn on_job_event(
        &self,
        message: JobEventRequest,
        metadata: HeaderMap,
    ) -> Result<JobEventResponse, Status> {
        self.gate().map_err(super::AppError::into_status)?;
        let _slot = self.slot().await;
        self.renamed(&ON_JOB_EVENT, &message, metadata).await
    }

    /// The topics that the application wants; none when it does not know the question.
    pub async fn list_topic_subscriptions(&self) -> Result<ListTopicSubscriptionsResponse, Status> {
        self.plain("/dapr.proto.runtime.v1.AppCallback/ListTopicSubscriptions", &(), HeaderMap::new())
            .await
            .or_else(none_if_unimplemented)
    }

    /// The input bindings that the application wants; none when it does not know the question.
    pub async fn list_input_bindings(&self) -> Result<ListInputBindingsResponse, Status> {
        self.plain("/dapr.proto.runtime.v1.AppCallback/ListInputBindings", &(), HeaderMap::new())
            .await
            .or_else(none_if_unimplemented)
    }

    /// One health check. It has no token, and is counted apart.
    pub(super) async fn health_check(&self, timeout: Duration) -> Result<(), Status> {
        let Transport::Grpc(client) = &self.inner.transport else { return Err(no_grpc()) };
        let started = Instant::now();
        let path = "/dapr.proto.runtime.v1.AppCallbackHealthCheck/HealthCheck";
        let outcome = client.unary::<(), HealthCheckResponse>(path, &(), HeaderMap::new(), Some(timeout)).await;
        let code = outcome.as_ref().map_or_else(|failure| failure.status.code(), |_| Code::Ok);
        self.inner.metrics.grpc_health_probe(code as i32, started.elapsed());
        outcome.map(|_| ()).map_err(|failure| failure.status)
    }

    /// Calls a callback under the name that the application is known to have, then under the other.
    async fn renamed<In: Message, Out: Message + Default>(
        &self,
        names: &Renamed,
        message: &In,
        metadata: HeaderMap,
    ) -> Result<Out, Status> {
        let knows_former = &self.inner.knows_alpha[names.index];
        let former_first = knows_former.load(Ordering::Relaxed);
        let (first, second) = if former_first { (names.before, names.now) } else { (names.now, names.before) };
        let status = match self.plain(first, message, metadata.clone()).await {
            Err(status) if status.code() == Code::Unimplemented => status,
            outcome => return outcome,
        };
        match self.plain(second, message, metadata).await {
            Err(other) if other.code() == Code::Unimplemented => Err(status),
            outcome => {
                knows_former.store(!former_first, Ordering::Relaxed);
                outcome
            }
        }
    }

    async fn plain<In: Message, Out: Message + Default>(
        &self,
        path: &'static str,
        message: &In,
        metadata: HeaderMap,
    ) -> Result<Out, Status> {
        self.callback(path, message, metadata).await.map(|reply| reply.message).map_err(|failure| failure.status)
    }

    /// One counted call, with the application's token.
    async fn callback<In: Message, Out: Message + Default>(
        &self,
        path: &'static str,
        message: &In,
        mut metadata: HeaderMap,
    ) -> Result<Reply<Out>, Failure> {
        let Transport::Grpc(client) = &self.inner.transport else { return Err(no_grpc().into()) };
        if let Some(token) = &self.inner.token {
            metadata.insert(TOKEN_HEADER, token.clone());
        }
        let started = Instant::now();
        let outcome = client.unary::<In, Out>(path, message, metadata, None).await;
        if self.inner.metrics.is_enabled() {
            let (code, response_bytes) = match &outcome {
                Ok(reply) => (Code::Ok, reply.message.encoded_len() as u64),
                Err(failure) => (failure.status.code(), 0),
            };
            self.inner.metrics.grpc_client(&GrpcCall {
                method: path,
                code: code as i32,
                request_bytes: Some(message.encoded_len() as u64),
                response_bytes: Some(response_bytes),
                elapsed: started.elapsed(),
            });
        }
        outcome
    }
}

fn none_if_unimplemented<M: Default>(status: Status) -> Result<M, Status> {
    if status.code() == Code::Unimplemented { Ok(M::default()) } else { Err(status) }
}

fn no_grpc() -> Status {
    Status::failed_precondition("the application speaks HTTP and takes no gRPC callbacks (--app-protocol)")
}
