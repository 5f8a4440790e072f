//! The methods of `dapr.proto.runtime.v1.Dapr`: one line each. What is not here goes to the proxy.

use std::sync::Arc;

use http::{Response, request};
use tonic::Status;

use super::unary::{unary, unary_with_headers};
use super::{Call, Context, Inner, absent, frame, invoke, pubsub, secrets, sidecar, state, status, streaming};
use crate::body::Body;
use crate::catalog::SERVICE;

/// Answers a call by its path.
pub(super) async fn dispatch(api: &Arc<Inner>, parts: request::Parts, body: Body, context: Context) -> Response<Body> {
    let path = parts.uri.path();
    if let Some(method) =
        path.strip_prefix('/').and_then(|path| path.strip_prefix(SERVICE)).and_then(|path| path.strip_prefix('/'))
        && crate::catalog::by_grpc_method(method).is_some()
    {
        if !api.access.allows_grpc(method) {
            return frame::status(&not_available());
        }
        if method == "InvokeService" {
            return invoke::invoke_service(context, parts, body, api.limit).await;
        }
        let method = method.to_owned();
        let call = Call { context, headers: parts.headers, body, limit: api.limit };
        return api_method(&method, call).await;
    }
    if path.starts_with("/grpc.reflection.v1") {
        return api.reflection.call(parts, body).await;
    }
    super::proxy::proxy(context, parts, body).await
}

/// As daprd 1.18 for an API that its allow or deny list takes away.
fn not_available() -> Status {
    let metadata = [("http.code", "501"), ("http.error_message", "requested endpoint is not available")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    status::with_details(
        tonic::Code::Unimplemented,
        "Not Implemented",
        vec![status::error_info("Not Implemented", metadata)],
    )
}

async fn api_method(method: &str, call: Call) -> Response<Body> {
    match method {
        "GetState" => unary(call, state::get).await,
        "GetBulkState" => unary(call, state::get_bulk).await,
        "SaveState" => unary(call, state::save).await,
        "DeleteState" => unary(call, state::delete).await,
        "DeleteBulkState" => unary(call, state::delete_bulk).await,
        "ExecuteStateTransaction" => unary(call, state::transaction).await,
        "QueryStateAlpha1" => unary(call, state::query).await,
        "GetSecret" => unary(call, secrets::get).await,
        "GetBulkSecret" => unary(call, secrets::get_bulk).await,
        "GetMetadata" => unary(call, sidecar::get_metadata).await,
        "SetMetadata" => unary(call, sidecar::set_metadata).await,
        "Shutdown" => unary(call, sidecar::shutdown).await,
        "PublishEvent" => unary(call, pubsub::publish).await,
        "BulkPublishEvent" | "BulkPublishEventAlpha1" => unary(call, pubsub::bulk_publish).await,
        "SubscribeTopicEventsAlpha1" => streaming::subscribe_topic_events(call).await,
        "SubscribeActorEventsAlpha1" => streaming::subscribe_actor_events(call).await,
        "GetConfiguration" | "GetConfigurationAlpha1" | "SubscribeConfiguration" | "SubscribeConfigurationAlpha1" => {
            unary(call, absent::configuration).await
        }
        "UnsubscribeConfiguration" | "UnsubscribeConfigurationAlpha1" => {
            unary(call, absent::unsubscribe_configuration).await
        }
        "TryLockAlpha1" => unary(call, absent::try_lock).await,
        "UnlockAlpha1" => unary(call, absent::unlock).await,
        "EncryptAlpha1" => unary(call, absent::encrypt).await,
        "DecryptAlpha1" => unary(call, absent::decrypt).await,
        "ConverseAlpha1" => unary(call, absent::converse).await,
        "ConverseAlpha2" => unary(call, absent::converse_alpha2).await,
        "ScheduleJob" | "ScheduleJobAlpha1" => unary(call, absent::schedule_job).await,
        "GetJob" | "GetJobAlpha1" => unary(call, absent::get_job).await,
        "DeleteJob" | "DeleteJobAlpha1" => unary(call, absent::delete_job).await,
        "ListJobs" | "ListJobsAlpha1" => unary(call, absent::list_jobs).await,
        "DeleteJobsByPrefix" | "DeleteJobsByPrefixAlpha1" => unary(call, absent::delete_jobs).await,
        "InvokeBinding" => unary_with_headers(call, super::bindings::invoke).await,
        other => by_group(other, call).await,
    }
}

/// Methods that are answered alike, by their API group.
async fn by_group(method: &str, call: Call) -> Response<Body> {
    match crate::catalog::by_grpc_method(method).map(|(row, _)| row.group) {
        Some("actors" | "workflows") => unary(call, absent::placement).await,
        Some("subtlecrypto") => unary(call, absent::subtle_crypto).await,
        Some("search") => unary(call, absent::search).await,
        Some("vector") => unary(call, absent::vector).await,
        Some("binarystore") => unary(call, absent::binary_file).await,
        _ => {
            frame::status(&Status::internal(format!("the method {method} is in the catalogue but not in the service")))
        }
    }
}
