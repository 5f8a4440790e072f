//! Any other gRPC service: relayed to the application that the call names, frame by frame (as daprd 1.18).
//!
//! Messages are not decoded, so that all four kinds of calls pass, with headers, trailers and statuses as they are. Only
//! under a policy with retries is the first message looked at: it is kept, and must be the only one.

mod retry;

use std::pin::Pin;
use std::task::{self, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::HeaderName;
use http::{HeaderMap, Method, Request, Response, request};
use http_body::{Frame, SizeHint};
use tonic::{Code, Status};

use super::{Context, frame};
use crate::app::TOKEN_HEADER;
use crate::blocks::access_control::Caller;
use crate::blocks::invoke::{Source, headers as mapping};
use crate::body::{Body, BodyError};
use crate::client::ClientError;
use crate::client::grpc::status_of;
use crate::client::http2::{Http2Pool, Lease};
use crate::layers::NoTraceHeader;
use crate::resiliency::Policy;
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
    let path = parts.uri.path().to_owned();
    let is_stream = text(&parts.headers, &STREAM).is_some_and(|text| components::metadata::is_truthy(&text));
    let policy = match &named {
        Some(name) => context.runtime.shared.policies.load().app(name, &format!("{name}:{path}")),
        None => Policy::none(),
    };
    if let Some(trace) = context.call.trace.as_ref().filter(|trace| trace.is_valid()) {
        mapping::put_trace_grpc(&mut parts.headers, Some(trace));
    }
    let (id, _) = target.split_once('.').unwrap_or((target, ""));
    context.runtime.invoke.put_identity(&mut parts.headers, id);
    let relay = Relay { context, target, counted: named, is_stream, path, headers: parts.headers };
    if is_stream {
        retry::connect_only(&relay, &policy, body).await
    } else {
        retry::whole_call(&relay, &policy, body).await
    }
}

/// A call on its way to another sidecar.
struct Relay<'a> {
    context: &'a Context,
    target: &'a str,
    /// Under which name it is counted.
    counted: Option<String>,
    is_stream: bool,
    path: String,
    headers: HeaderMap,
}

/// A connection for a call, and whose it is.
struct Connected {
    pool: Http2Pool,
    lease: Lease,
    id: String,
    address: String,
}

impl Relay<'_> {
    /// A connection to one of the target's addresses; dead ones are passed over and forgotten.
    async fn connect(&self) -> Result<Connected, Status> {
        let invoke = &self.context.runtime.invoke;
        let (id, addresses) = invoke.resolve(self.target).await.map_err(Status::unknown)?;
        let mut last = Status::unknown(format!("resolver returned empty address for app id {id}"));
        for address in addresses {
            let connecting = async {
                let pool = invoke.peers().pool(&address)?;
                let lease = pool.lease().await?;
                Ok::<_, ClientError>((pool, lease))
            };
            match connecting.await {
                Ok((pool, lease)) => return Ok(Connected { pool, lease, id, address }),
                Err(error) => {
                    invoke.forget(&id, &address);
                    last = status_of(&error);
                }
            }
        }
        Err(last)
    }

    /// Sends the call over a connection, and over another one as long as nobody has begun with it.
    async fn send(&self, mut connected: Connected, source: &Source) -> Result<Response<Body>, Status> {
        let metrics = &self.context.runtime.shared.metrics;
        // An address that refuses is forgotten, so that this ends with the addresses; the bound is for a resolver that
        // knows no forgetting.
        for _ in 0..MAX_MOVES {
            if let Some(name) = &self.counted {
                metrics.invoke_request_sent(name, self.is_stream);
            }
            let Connected { pool, lease, id, address } = connected;
            let (parts, body) = outgoing(self.path.clone(), self.headers.clone(), source.open())?.into_parts();
            match pool.send_over(lease, parts, body).await {
                Ok(response) => return Ok(relayed(response, self.counter())),
                Err(error) if error.is_unprocessed() && source.is_whole() => {
                    self.context.runtime.invoke.forget(&id, &address);
                    connected = self.connect().await?;
                }
                Err(error) => {
                    let status = status_of(&error);
                    if let Some(counter) = self.counter() {
                        counter.count(status.code() as i32);
                    }
                    return Err(status);
                }
            }
        }
        Err(Status::unavailable("every address of the target has refused the call"))
    }

    fn counter(&self) -> Option<Counter> {
        let metrics = self.context.runtime.shared.metrics.clone();
        let name = self.counted.clone()?;
        Some(Counter { metrics, name, is_stream: self.is_stream, started: Instant::now() })
    }
}

/// How often a call that was not begun with is taken elsewhere.
const MAX_MOVES: usize = 8;

/// Counts the end of a relayed call.
struct Counter {
    metrics: Metrics,
    name: String,
    is_stream: bool,
    started: Instant,
}

impl Counter {
    fn count(&self, code: i32) {
        self.metrics.invoke_response_received(&self.name, code, self.is_stream, self.started.elapsed());
    }
}

fn outgoing(path: String, headers: HeaderMap, body: Body) -> Result<Request<Body>, Status> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().map_err(|_| Status::unimplemented(format!("malformed method name: {path:?}")))?;
    *request.headers_mut() = headers;
    Ok(request)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// An answer on its way to the caller: one that breaks off ends with a status.
fn relayed(response: Response<Body>, counter: Option<Counter>) -> Response<Body> {
    if let (Some(counter), Some(code)) = (&counter, code_in(response.headers())) {
        counter.count(code);
        return response;
    }
    response.map(|body| Body::stream(Relayed { body, counter }))
}

/// The code of a status in headers or trailers, one that gRPC does not know too.
fn code_in(headers: &HeaderMap) -> Option<i32> {
    let code = headers.get("grpc-status")?;
    Some(code.to_str().ok().and_then(|code| code.parse().ok()).unwrap_or(Code::Unknown as i32))
}

struct Relayed {
    body: Body,
    counter: Option<Counter>,
}

impl Relayed {
    fn count(&mut self, code: i32) {
        if let Some(counter) = self.counter.take() {
            counter.count(code);
        }
    }
}

impl http_body::Body for Relayed {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Err(error))) => {
                self.body = Body::empty();
                let status = match error.downcast_ref::<ClientError>() {
                    Some(error) => status_of(error),
                    None => Status::internal(format!("failed proxying server-to-client: {error}")),
                };
                self.count(status.code() as i32);
                let mut trailers = HeaderMap::with_capacity(2);
                if status.add_header(&mut trailers).is_err() {
                    trailers.insert("grpc-status", http::HeaderValue::from(status.code() as i32));
                }
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(trailers) = frame.trailers_ref() {
                    let code = code_in(trailers).unwrap_or(Code::Unknown as i32);
                    self.count(code);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            other => other,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
