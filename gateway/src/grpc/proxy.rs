//! Any other gRPC service: relayed to the application that the call names, frame by frame (as daprd 1.18).
//!
//! Messages are not decoded, so that all four kinds of calls pass, with headers, trailers and statuses as they are. Only
//! under a policy with retries is the first message looked at: it is kept, and must be the only one.

mod retry;

use std::time::{Duration, Instant};

use http::header::HeaderName;
use http::{HeaderMap, Request, Response, request};
use tonic::{Code, Status};

use super::{Context, frame};
use crate::app::TOKEN_HEADER;
use crate::blocks::access_control::Caller;
use crate::blocks::invoke::headers as mapping;
use crate::body::Body;
use crate::client::ClientError;
use crate::client::grpc::status_of;
use crate::layers::NoTraceHeader;
use crate::telemetry::Metrics;

const CALLEE: HeaderName = mapping::CALLEE_APP;
const APP_ID: HeaderName = HeaderName::from_static("dapr-app-id");
const STREAM: HeaderName = HeaderName::from_static("dapr-stream");

/// Relays one call. An upstream sidecar's word on the target goes before the caller's.
pub async fn proxy(context: Context, mut parts: request::Parts, body: Body) -> Response<Body> {
    let named = text(&parts.headers, &APP_ID);
    let Some(target) = text(&parts.headers, &CALLEE).or_else(|| named.clone()) else {
        return frame::status(&Status::unknown(nobody_named(&context, parts.uri.path())));
    };
    parts.headers.remove(APP_ID);
    let outcome = if context.runtime.invoke.is_own(&target) {
        to_own(&context, parts, body).await
    } else {
        to_peer(&context, &target, named, parts, body).await
    };
    let mut response = outcome.unwrap_or_else(|status| frame::status(&status));
    response.extensions_mut().insert(NoTraceHeader);
    response
}

/// daprd's tracing refuses such a call in other words than its proxy, unless it is off or the service is Dapr's.
fn nobody_named(context: &Context, path: &str) -> &'static str {
    let is_daprs = path.starts_with("/dapr.proto.") || path.starts_with("/TaskHubSidecarService/");
    if context.call.trace.is_none() || is_daprs {
        "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found"
    } else {
        "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata"
    }
}

/// To the application of this sidecar.
async fn to_own(context: &Context, mut parts: request::Parts, body: Body) -> Result<Response<Body>, Status> {
    let invoke = &context.runtime.invoke;
    let caller = parts.extensions.remove::<Caller>();
    let path = invoke.admit_relayed(parts.uri.path(), caller.as_ref())?;
    let Some(channel) = invoke.channel() else {
        return Err(Status::internal("app channel is not initialized"));
    };
    let Some(pool) = channel.grpc_pool() else {
        return Err(Status::failed_precondition(
            "the application of this sidecar speaks HTTP and takes no gRPC calls (--app-protocol)",
        ));
    };
    parts.headers.remove(TOKEN_HEADER);
    if let Some(token) = channel.token() {
        parts.headers.insert(TOKEN_HEADER, token.clone());
    }
    let request = outgoing(path, parts.headers, body)?;
    let response = pool.send(request).await.map_err(|error| status_of(&error))?;
    Ok(relayed(response, None))
}

/// To the application behind another sidecar, whose internal port relays on.
async fn to_peer(
    context: &Context,
    target: &str,
    named: Option<String>,
    mut parts: request::Parts,
    body: Body,
) -> Result<Response<Body>, Status> {
    let shared = &context.runtime.shared;
    let path = parts.uri.path().to_owned();
    let is_stream = text(&parts.headers, &STREAM).is_some_and(|text| components::metadata::is_truthy(&text));
    if let Some(trace) = context.call.trace.as_ref().filter(|trace| trace.is_valid()) {
        mapping::put_trace_grpc(&mut parts.headers, Some(trace));
    }
    let (id, _) = target.split_once('.').unwrap_or((target, ""));
    context.runtime.invoke.put_identity(&mut parts.headers, id);
    let policy = match &named {
        Some(name) => shared.policies.load().app(name, &format!("{name}:{path}")),
        None => crate::resiliency::Policy::none(),
    };
    let relay = Relay { context, target, counted: named.as_deref(), is_stream, path: &path, headers: &parts.headers };
    if is_stream || !policy.has_retries() {
        let timeout = policy.timeout();
        let body = Sent::new(body);
        let calling = async {
            policy
                .run(|| async { relay.send(body.open()).await.map_err(retry::Attempted::unrepeatable) })
                .await
                .map_err(retry::into_status)
        };
        let _ = timeout;
        return calling.await;
    }
    retry::run(&relay, &policy, body, context_limit(context)).await
}

fn context_limit(_context: &Context) -> usize {
    0
}
