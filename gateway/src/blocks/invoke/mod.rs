//! Service invocation: a method of the own application, of one behind another sidecar, of an endpoint outside (as
//! daprd 1.18).
//!
//! A call's way: its method is brought into one form, the target is told apart, policies decide how often it is tried;
//! then [`local`], [`peer`] or [`endpoint`] make it. Bodies are streams both ways; only short ones of known length are
//! kept, so that a call may be tried again.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use components::Secret;
use components::nameresolution::{ResolveRequest, Resolver};
use http::{HeaderMap, HeaderValue, Request, Response};
use tonic::Status;

use super::Shared;
use super::access_control::{Access, AccessControl, AccessControlError, Caller};
use crate::app::{AppChannel, AppError};
use crate::body::Body;
use crate::config::configuration::AccessControlSpec;
use crate::error::ApiError;
use crate::operation::{CallContext, Handle};
use crate::pipeline::Pipeline;
use crate::resiliency::BuiltIn;
use crate::telemetry::trace::SpanContext;

mod call;
pub mod chunks;
mod endpoint;
mod failure;
pub mod headers;
mod identity;
pub mod local;
pub mod method;
pub mod peer;
mod replay;
pub mod status;
mod target;
pub mod wire;

pub use call::{AppCall, AppReply, CallHead, GrpcStatus, InvokeApp, ReplyStatus, Verb};
use endpoint::{Destination, Outside};
pub use endpoint::{Endpoint, EndpointError};
use failure::{Attempted, CallError, Unreached};
use identity::Identity;
use peer::Peers;
use replay::Outgoing;
pub use replay::{MAX_KEPT, Source};
use target::Target;

/// The functions of this process, which are called like applications. Failures are answers.
#[async_trait]
pub trait Functions: Send + Sync {
    /// Whether there is a function, or a group of them, with this id.
    fn has(&self, id: &str) -> bool;

    /// Whether there are any.
    fn are_there(&self) -> bool;

    /// Calls the function with this id.
    async fn call(&self, id: &str, request: Request<Body>, trace: Option<&SpanContext>) -> Response<Body>;

    /// Calls the function that takes such requests.
    async fn serve(&self, request: Request<Body>, trace: Option<&SpanContext>) -> Response<Body>;
}

/// What the block must know beside what blocks share.
pub struct Settings {
    /// The address that peers know this sidecar by.
    pub host_address: String,
    pub host_name: String,
    /// The own internal port, for name resolution by template.
    pub internal_port: u16,
    /// The most bytes of a message; 0 for no limit.
    pub max_body_size: usize,
    pub access_control: Option<AccessControlSpec>,
    /// Whether the application speaks HTTP: then verbs count for access control, and case does not.
    pub app_is_http: bool,
    /// `APP_API_TOKEN`.
    pub app_token: Option<Secret>,
    /// The user's middleware before the application, and before what is outside.
    pub app_pipeline: Arc<ArcSwap<Pipeline>>,
    pub functions: Option<Arc<dyn Functions>>,
}

/// Answers invocations. Cheap to clone.
#[derive(Clone)]
pub struct InvokeBlock {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Shared,
    channel: Option<AppChannel>,
    resolver: Arc<dyn Resolver>,
    endpoints: BTreeMap<String, Endpoint>,
    outside: Outside,
    peers: Peers,
    identity: Identity,
    access_control: Option<AccessControl>,
    internal_port: u16,
    functions: Option<Arc<dyn Functions>>,
}

/// Where a call goes.
enum Route<'a> {
    Own,
    /// A function of this process; without an id the one that takes such requests.
    Function {
        id: Option<&'a str>,
    },
    Peer {
        id: &'a str,
        namespace: &'a str,
    },
    Outside(Destination<'a>),
}

impl InvokeBlock {
    /// `channel`: `None` without an application.
    pub fn new(
        shared: Shared,
        channel: Option<AppChannel>,
        resolver: Arc<dyn Resolver>,
        endpoints: Vec<Endpoint>,
        settings: Settings,
    ) -> Result<Self, AccessControlError> {
        let access_control = match &settings.access_control {
            Some(spec) => AccessControl::new(spec, settings.app_is_http)?,
            None => None,
        };
        let token = settings.app_token.as_ref().and_then(|token| {
            let mut value = HeaderValue::from_str(token.reveal()).ok().filter(|value| !value.is_empty())?;
            value.set_sensitive(true);
            Some(value)
        });
        let inner = Inner {
            channel,
            resolver,
            endpoints: endpoints.into_iter().map(|endpoint| (endpoint.name.clone(), endpoint)).collect(),
            outside: Outside::new(token, settings.app_pipeline, shared.metrics.clone()),
            peers: Peers::new(settings.max_body_size),
            identity: Identity::new(&shared.app_id, &shared.namespace, &settings.host_address, &settings.host_name),
            access_control,
            internal_port: settings.internal_port,
            functions: settings.functions,
            shared,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The own application.
    pub fn channel(&self) -> Option<&AppChannel> {
        self.inner.channel.as_ref()
    }

    /// Whether there is an application that speaks HTTP.
    pub fn has_http_app(&self) -> bool {
        self.channel().is_some_and(|channel| !channel.is_grpc())
    }

    pub fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    /// Whether a target of relayed gRPC calls is the own application: daprd compares the id alone.
    pub fn is_own(&self, target: &str) -> bool {
        let own = &*self.inner.shared.app_id;
        matches!(Target::parse(target, ""), Ok(Target::Name { id, .. }) if id == own)
    }

    /// The addresses of a target of relayed gRPC calls, and its id. The error is daprd's text.
    pub async fn resolve(&self, target: &str) -> Result<(String, Vec<String>), String> {
        match Target::parse(target, &self.inner.shared.namespace).map_err(|error| error.to_string())? {
            Target::Url(url) => Err(format!("{url} is no app id")),
            Target::Name { id, namespace } => Ok((id.to_owned(), self.inner.resolve(id, namespace).await?)),
        }
    }

    /// An address of an app did not answer.
    pub fn forget(&self, app_id: &str, address: &str) {
        self.inner.resolver.forget(app_id, address);
        self.inner.peers.forget(address);
    }

    /// Names this sidecar and the target in a call that goes to another sidecar.
    pub fn put_identity(&self, headers: &mut HeaderMap, target_id: &str) {
        self.inner.identity.put_names(headers, target_id);
    }

    /// Judges a gRPC call that is to be relayed to the own application; the name comes back in its one form.
    pub fn admit_relayed(&self, full_method: &str, caller: Option<&Caller>) -> Result<String, Status> {
        self.inner.admit(full_method, Verb::NONE, false, caller)
    }

    /// Answers a call that came from another sidecar.
    pub async fn serve(
        &self,
        mut call: AppCall,
        caller: Option<&Caller>,
        trace: Option<&SpanContext>,
    ) -> Result<AppReply, Status> {
        let Some(channel) = &self.inner.channel else { return self.serve_by_function(call, caller, trace).await };
        let is_http = !channel.is_grpc();
        let verb = call.head.verb.filter(|_| is_http).unwrap_or(Verb::NONE);
        call.head.method = self.inner.admit(&call.head.method, verb, is_http, caller)?;
        let metrics = &self.inner.shared.metrics;
        let from = call
            .head
            .headers
            .get(headers::CALLER_APP)
            .and_then(|name| name.to_str().ok())
            .unwrap_or("unknown")
            .to_owned();
        metrics.invoke_request_received(&from);
        let wants_events = call.head.wants_events();
        let outcome = local::call(channel, call, trace).await;
        let outcome = match outcome {
            Ok(reply) if wants_events && !is_success(&reply.status) => {
                Err(AppError::new("no response received from stream"))
            }
            other => other,
        };
        metrics.invoke_response_sent(
            &from,
            outcome.as_ref().map_or(tonic::Code::Internal as i32, |reply| reply.status.number()),
        );
        outcome.map_err(|error| Status::internal(format!("error invoking app channel: {error}")))
    }

    /// Without an application its id means the functions.
    async fn serve_by_function(
        &self,
        mut call: AppCall,
        caller: Option<&Caller>,
        trace: Option<&SpanContext>,
    ) -> Result<AppReply, Status> {
        let inner = &*self.inner;
        if !inner.functions.as_ref().is_some_and(|functions| functions.are_there()) {
            return Err(Status::internal("app channel is not initialized"));
        }
        call.head.method = inner.admit(&call.head.method, call.head.verb.unwrap_or(Verb::NONE), true, caller)?;
        let reply = inner.call_function(None, call, trace).await;
        reply.map_err(|error| Status::internal(format!("error invoking a function: {error}")))
    }
}

fn is_success(status: &ReplyStatus) -> bool {
    match status {
        ReplyStatus::Http(status) => status.is_success(),
        // daprd reads the number as an HTTP status, which it is not; an OK is what is meant.
        ReplyStatus::Grpc(status) => status.code == 0,
    }
}

impl Inner {
    /// The method in its one form, if the caller may call it.
    fn admit(&self, method: &str, verb: Verb, is_http: bool, caller: Option<&Caller>) -> Result<String, Status> {
        let method =
            method::normalize(method).map_err(|error| Status::invalid_argument(format!("invalid method: {error}")))?;
        if let Some(access_control) = &self.access_control {
            let access = Access { caller, operation: &method, verb, is_http };
            access_control.check(&access, &self.shared.metrics).map_err(Status::permission_denied)?;
        }
        Ok(method)
    }

    fn route<'a>(&'a self, target: &'a str) -> Result<Route<'a>, CallError> {
        let target =
            Target::parse(target, &self.shared.namespace).map_err(|error| CallError::new(error.to_string()))?;
        Ok(match target {
            Target::Url(url) => Route::Outside(Destination::Url(url)),
            Target::Name { id, namespace } => match self.endpoints.get(id) {
                Some(endpoint) => Route::Outside(Destination::Endpoint(endpoint)),
                None if *id == *self.shared.app_id && *namespace == *self.shared.namespace => self.own(id),
                None if self.has_function(id) => Route::Function { id: Some(id) },
                None => Route::Peer { id, namespace },
            },
        })
    }

    fn has_function(&self, id: &str) -> bool {
        self.functions.as_ref().is_some_and(|functions| functions.has(id))
    }

    /// The own id: the application, or the functions that stand in its place.
    fn own<'a>(&self, id: &'a str) -> Route<'a> {
        match &self.functions {
            Some(functions) if self.channel.is_none() && functions.are_there() => {
                Route::Function { id: functions.has(id).then_some(id) }
            }
            _ => Route::Own,
        }
    }

    /// Calls a function. Callers over gRPC need not name a verb.
    async fn call_function(
        &self,
        id: Option<&str>,
        call: AppCall,
        trace: Option<&SpanContext>,
    ) -> Result<AppReply, AppError> {
        let Some(functions) = &self.functions else { return Err(AppError::new("there are no functions")) };
        let request = local::function_request(call, trace)?;
        let response = match id {
            Some(id) => functions.call(id, request, trace).await,
            None => functions.serve(request, trace).await,
        };
        Ok(local::http_reply(response))
    }

    /// The key under which policies know what is called, beside the target.
    fn policy_key(&self, target: &str, method: &str) -> String {
        if target::is_url(target) {
            return format!("{target}/{method}");
        }
        match self.endpoints.get(target) {
            Some(endpoint) => format!("{target}:{}", endpoint.base_url()),
            None => format!("{target}:{method}"),
        }
    }

    async fn resolve(&self, id: &str, namespace: &str) -> Result<Vec<String>, String> {
        let request =
            ResolveRequest { app_id: id.to_owned(), namespace: namespace.to_owned(), port: self.internal_port };
        self.resolver.resolve(&request).await.map_err(|error| error.message().to_owned())
    }

    /// One attempt.
    async fn attempt(
        &self,
        route: &Route<'_>,
        target: &str,
        outgoing: &Outgoing,
        context: &CallContext,
    ) -> Result<AppReply, CallError> {
        let Some(head) = outgoing.next() else {
            return Err(CallError::new("the request body was sent already and cannot be sent again"));
        };
        let trace = context.trace.as_ref();
        match route {
            Route::Own => {
                let Some(channel) = &self.channel else {
                    return Err(CallError::new("cannot invoke local endpoint: app channel not initialized"));
                };
                let call = AppCall { head, body: outgoing.source.take(), is_stream: outgoing.is_stream };
                local::call(channel, call, trace).await.map_err(CallError::from)
            }
            Route::Function { id } => {
                let call = AppCall { head, body: outgoing.source.take(), is_stream: outgoing.is_stream };
                Ok(Box::pin(self.call_function(*id, call, trace)).await?)
            }
            Route::Outside(destination) => {
                let call = AppCall { head, body: outgoing.source.take(), is_stream: outgoing.is_stream };
                let started = Instant::now();
                self.shared.metrics.invoke_request_sent(target, false);
                let reply = Box::pin(self.outside.call(destination, call, trace)).await?;
                self.count_reply(target, &reply, started);
                Ok(reply)
            }
            Route::Peer { id, namespace } => {
                let mut head = head;
                self.identity.put(&mut head.headers, id);
                let source = &outgoing.source;
                let is_repeatable = outgoing.is_repeatable;
                Peer { inner: self, id, namespace, head: &head, source, trace }.call(is_repeatable).await
            }
        }
    }

    fn count_reply(&self, target: &str, reply: &AppReply, started: Instant) {
        self.shared.metrics.invoke_response_received(target, reply.status.number(), false, started.elapsed());
    }
}

/// A call of an application behind another sidecar.
struct Peer<'a> {
    inner: &'a Inner,
    id: &'a str,
    namespace: &'a str,
    head: &'a CallHead,
    source: &'a Source,
    trace: Option<&'a SpanContext>,
}

impl Peer<'_> {
    /// Calls; failures to reach the other side are tried again as daprd does, unless the user has said what to do.
    async fn call(&self, is_repeatable: bool) -> Result<AppReply, CallError> {
        let known = Mutex::new(Vec::new());
        let policies = self.inner.shared.policies.load_full();
        if !is_repeatable || policies.has_app(self.id) {
            return Box::pin(self.once(&known)).await;
        }
        let attempts = AtomicU32::new(0);
        let attempt = || async {
            let retries = attempts.fetch_add(1, Ordering::Relaxed);
            // On the heap, here and below: a future is as large as the largest that it may wait for, and is moved whole.
            Box::pin(self.once(&known)).await.map_err(|error| {
                Unreached(if error.is_unreached() { error.after_retries(self.id, retries) } else { error })
            })
        };
        let outcome = policies.built_in(BuiltIn::ServiceRetries).run(attempt).await;
        outcome.map_err(|error| error.into_operation(|text| Unreached(CallError::new(text))).0)
    }

    /// One attempt: the addresses in turn, as long as the one before has certainly not begun with the call. `known`: the
    /// addresses of earlier attempts, which stay in place of a name that cannot be resolved any more.
    async fn once(&self, known: &Mutex<Vec<String>>) -> Result<AppReply, CallError> {
        let Self { inner, id, namespace, head, source, trace } = *self;
        let addresses = match inner.resolve(id, namespace).await {
            Ok(addresses) => addresses,
            Err(text) => {
                let earlier = known.lock().unwrap_or_else(PoisonError::into_inner).clone();
                if earlier.is_empty() {
                    return Err(CallError::new(text));
                }
                earlier
            }
        };
        known.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&addresses);
        let mut last = None;
        for address in &addresses {
            let started = Instant::now();
            inner.shared.metrics.invoke_request_sent(id, false);
            match inner.peers.call(address, id, head, source, trace).await {
                Ok(reply) => {
                    inner.count_reply(id, &reply, started);
                    return Ok(reply);
                }
                Err(error) => {
                    let is_unprocessed = error.is_unprocessed;
                    if is_unprocessed {
                        inner.resolver.forget(id, address);
                        inner.peers.forget(address);
                    }
                    last = Some(error);
                    if !is_unprocessed || !source.is_whole() {
                        break;
                    }
                }
            }
        }
        let nowhere = || CallError::new(format!("resolver returned empty address for app id {namespace}/{id}"));
        Err(last.map_or_else(nowhere, CallError::from))
    }
}

impl Handle<InvokeApp> for InvokeBlock {
    async fn handle(&self, context: &CallContext, operation: InvokeApp) -> Result<AppReply, ApiError> {
        let InvokeApp { target, mut call } = operation;
        let inner = &*self.inner;
        let policy = inner.shared.policies.load().app(&target, &inner.policy_key(&target, &call.head.method));
        call.head.method = method::normalize(&call.head.method).map_err(|error| {
            CallError::status(&Status::invalid_argument(format!("invalid method: {error}"))).into_api(&target)
        })?;
        let route = inner.route(&target).map_err(|error| error.into_api(&target))?;
        let may_repeat = policy.has_retries() || matches!(route, Route::Peer { .. });
        let outgoing = if may_repeat {
            let kept = Outgoing::keep(call).await;
            kept.map_err(|error| CallError::new(error.to_string()).into_api(&target))?
        } else {
            Outgoing::once(call)
        };
        let again = outgoing.is_repeatable;
        let outcome = policy
            .run(|| async {
                let outcome = Box::pin(inner.attempt(&route, &target, &outgoing, context)).await;
                Attempted::sort(outcome, context.front, again)
            })
            .await;
        failure::settle(outcome, &target)
    }
}
