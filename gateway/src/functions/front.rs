//! The functions' own listener: requests by Layotto's header `id`, by the routes of manifests, and for those who have
//! no listener of their own.

use async_trait::async_trait;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};

use super::Functions;
use super::call::{Cause, Origin};
use crate::blocks::invoke;
use crate::body::Body;
use crate::error::{ApiError, table};
use crate::http::respond;
use crate::operation::CallContext;
use crate::server::ServeConnection;
use crate::telemetry::trace::SpanContext;

/// Names a function, as in Layotto.
const ID: &str = "id";

/// Says which module has answered.
const VERSION: &str = "x-function-version";

/// The service behind the functions' port.
#[derive(Clone)]
pub struct FunctionsApi(pub Functions);

impl ServeConnection for FunctionsApi {
    async fn serve(&self, mut request: Request<Body>) -> Response<Body> {
        let context = request.extensions_mut().remove::<CallContext>();
        let trace = context.and_then(|context| context.trace);
        self.0.serve(request, trace.as_ref()).await
    }
}

impl Functions {
    /// Answers a request: by id, else by route.
    pub async fn serve(&self, request: Request<Body>, trace: Option<&SpanContext>) -> Response<Body> {
        let functions = self.table();
        let (method, path) = (request.method(), request.uri().path());
        let id = request.headers().get(ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
        let slot = match id {
            Some(id) => functions
                .by_id(id, method, path)
                .ok_or_else(|| table::functions::not_found(id, &functions.describe_ids())),
            None => functions
                .by_route(method, path)
                .ok_or_else(|| table::functions::no_route(method.as_str(), path, &functions.describe_routes())),
        };
        let outcome = match slot {
            Ok(slot) => {
                let version = slot.live().map(|live| live.version);
                let origin = Origin { cause: Cause::Http, depth: 0, trace };
                self.request(slot, origin, request).await.map(|response| versioned(response, version))
            }
            Err(error) => Err(error),
        };
        outcome.unwrap_or_else(|error| self.render(&error))
    }

    /// An error as an answer.
    fn render(&self, error: &ApiError) -> Response<Body> {
        self.shared().metrics.error_code(error.counted_code(), error.category().as_str());
        let mut response = respond::error(error);
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn versioned(mut response: Response<Body>, version: Option<u64>) -> Response<Body> {
    if let Some(version) = version {
        response.headers_mut().entry(VERSION).or_insert(HeaderValue::from(version));
    }
    response
}

/// Functions are called like applications, by their names, ids and groups.
#[async_trait]
impl invoke::Functions for Functions {
    fn has(&self, id: &str) -> bool {
        self.table().has(id)
    }

    fn are_there(&self) -> bool {
        !self.is_empty()
    }

    async fn call(&self, id: &str, request: Request<Body>, trace: Option<&SpanContext>) -> Response<Body> {
        let functions = self.table();
        let Some(slot) = functions.by_id(id, request.method(), request.uri().path()) else {
            return self.render(&table::functions::not_found(id, &functions.describe_ids()));
        };
        let origin = Origin { cause: Cause::Invoke, depth: 0, trace };
        self.request(slot, origin, request).await.unwrap_or_else(|error| self.render(&error))
    }

    async fn serve(&self, request: Request<Body>, trace: Option<&SpanContext>) -> Response<Body> {
        Self::serve(self, request, trace).await
    }
}
