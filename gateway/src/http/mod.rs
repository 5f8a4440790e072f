//! The HTTP front: paths and bodies to operations, replies to answers. It decodes, calls, encodes; nothing else.

use std::borrow::Cow;
use std::future::ready;
use std::sync::Arc;

use bytes::Bytes;
use components::Metadata;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, Request, Response, StatusCode, request};

use crate::body::{self, Body};
use crate::catalog::Row;
use crate::error::{ApiError, table};
use crate::operation::{CallContext, Front};
use crate::pipeline::Aliased;
use crate::runtime::Runtime;

mod absent;
mod bindings;
mod invoke;
mod proto_json;
mod publish;
pub mod respond;
pub mod router;
mod secrets;
mod sidecar;
mod state;

use crate::query::query_pairs;
use router::{Router, Target};

/// The routes of one listener.
#[derive(Clone)]
pub struct HttpApi {
    inner: Arc<Inner>,
}

struct Inner {
    runtime: Runtime,
    router: Router,
}

/// The operation that answered, for API logging: set on the response.
#[derive(Debug, Clone)]
pub struct Answered {
    pub row: &'static Row,
    /// What an obfuscated log shows; service invocation adds the app's id.
    pub name: Cow<'static, str>,
}

impl Answered {
    pub fn by(row: &'static Row) -> Self {
        Self { row, name: Cow::Borrowed(row.operation) }
    }
}

/// A request whose route is known.
pub struct Call {
    pub runtime: Runtime,
    pub context: CallContext,
    pub parts: request::Parts,
    pub body: Body,
    /// Decoded path parameters in the order of the route.
    pub parameters: Vec<String>,
}

impl HttpApi {
    pub fn new(runtime: Runtime, router: Router) -> Self {
        Self { inner: Arc::new(Inner { runtime, router }) }
    }

    /// Routes and answers one request.
    pub async fn call(&self, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let context = parts.extensions.remove::<CallContext>().unwrap_or_else(|| CallContext::new(Front::Http));
        let runtime = self.inner.runtime.clone();
        let is_alias = parts.extensions.get::<Aliased>().is_some();
        let found = match self.inner.router.find(&parts.method, parts.uri.path()) {
            // Of the aliased paths daprd 1.18 serves those of invocations only.
            Target::Route(found) if is_alias && found.row.operation != "InvokeService" => {
                let error = table::invoke::no_target();
                runtime.count_error(&error);
                return respond::error(&error);
            }
            Target::Route(found) => found,
            Target::Fallback => {
                let call = Call { runtime, context, parts, body, parameters: vec![] };
                let mut response = Box::pin(invoke::fallback(call)).await;
                if response.extensions().get::<Answered>().is_none()
                    && let Some(row) = crate::catalog::ROWS.iter().find(|row| row.operation == "InvokeService")
                {
                    response.extensions_mut().insert(Answered::by(row));
                }
                return response;
            }
            Target::NotFound => return respond::text(StatusCode::NOT_FOUND, "404 page not found"),
            Target::BadEscape(text) => return respond::text(StatusCode::BAD_REQUEST, &text),
        };
        let call = Call { runtime, context, parts, body, parameters: found.parameters };
        let mut response = dispatch(found.row.operation, call).await;
        if response.extensions().get::<Answered>().is_none() {
            response.extensions_mut().insert(Answered::by(found.row));
        }
        response
    }
}

/// One line an operation. Each is on the heap by itself: the largest of them would be as much to move and to hold for
/// all the others, too.
async fn dispatch(operation: &str, call: Call) -> Response<Body> {
    if operation == "InvokeService" {
        return Box::pin(invoke::by_path(call)).await;
    }
    let runtime = call.runtime.clone();
    let answer: BoxFuture<'_, Result<Response<Body>, ApiError>> = match operation {
        "PublishEvent" => Box::pin(publish::publish(call)),
        "BulkPublishEvent" => Box::pin(publish::bulk(call)),
        "GetState" => Box::pin(state::get(call)),
        "SaveState" => Box::pin(state::save(call)),
        "DeleteState" => Box::pin(state::delete(call)),
        "GetBulkState" => Box::pin(state::bulk_get(call)),
        "ExecuteStateTransaction" => Box::pin(state::transaction(call)),
        "QueryStateAlpha1" => Box::pin(state::query(call)),
        "GetSecret" => Box::pin(secrets::get(call)),
        "GetBulkSecret" => Box::pin(secrets::bulk(call)),
        "InvokeBinding" => Box::pin(bindings::invoke(call)),
        "Healthz" => ready(sidecar::health(call)).boxed(),
        "HealthzOutbound" => ready(sidecar::outbound_health(call)).boxed(),
        "GetMetadata" => Box::pin(sidecar::metadata(call)),
        "PutMetadata" => Box::pin(sidecar::set_metadata(call)),
        "Shutdown" => ready(sidecar::shutdown(call)).boxed(),
        other => Box::pin(absent::answer(other, call)),
    };
    answer.await.unwrap_or_else(|error| {
        runtime.count_error(&error);
        respond::error(&error)
    })
}

impl Call {
    /// The parameter at `index` of the route.
    pub fn parameter(&mut self, index: usize) -> String {
        self.parameters.get_mut(index).map(std::mem::take).unwrap_or_default()
    }

    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The first value of a query parameter.
    pub fn query(&self, name: &str) -> Option<String> {
        query_pairs(self.parts.uri.query().unwrap_or_default()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All values of a query parameter.
    pub fn query_all(&self, name: &str) -> Vec<String> {
        query_pairs(self.parts.uri.query().unwrap_or_default())
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .collect()
    }

    /// `metadata.<key>=<value>` of the query string; the first value of a key wins.
    pub fn metadata(&self) -> Metadata {
        let mut metadata = Metadata::new();
        for (key, value) in query_pairs(self.parts.uri.query().unwrap_or_default()) {
            if let Some(key) = key.strip_prefix("metadata.") {
                metadata.entry(key.to_owned()).or_insert(value);
            }
        }
        metadata
    }

    /// The body, whole. The body limit of the listener holds.
    pub async fn bytes(&mut self) -> Result<Bytes, String> {
        body::collect(std::mem::take(&mut self.body), 0).await.map_err(|error| error.to_string())
    }

    /// The body for an operation that reports a failed read as such.
    pub async fn read(&mut self) -> Result<Bytes, ApiError> {
        self.bytes().await.map_err(|error| table::common::body_read(&error))
    }
}

/// A header name in Go's canonical spelling (`Content-Type`).
pub fn canonical_name(name: &str) -> String {
    let mut upper = true;
    name.chars()
        .map(|character| {
            let written = if upper { character.to_ascii_uppercase() } else { character.to_ascii_lowercase() };
            upper = character == '-';
            written
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size<O, F: FnOnce(Call) -> O>(_: F) -> usize {
        std::mem::size_of::<O>()
    }

    /// What a request holds and moves: an operation that needs more puts its rare parts on the heap.
    #[test]
    fn operations_are_small() {
        for (name, size) in [
            ("invoke", size(invoke::by_path)),
            ("publish", size(publish::publish)),
            ("get state", size(state::get)),
            ("save state", size(state::save)),
            ("get secret", size(secrets::get)),
            ("binding", size(bindings::invoke)),
        ] {
            assert!(size <= 4608, "{name} takes {size} bytes");
        }
    }
}
