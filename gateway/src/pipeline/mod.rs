//! User-defined HTTP middleware: around the API server (`spec.httpPipeline`), and around calls of the application
//! (`spec.appHttpPipeline`).
//!
//! A [`Middleware`] sees the request, may pass it on with [`Next::run`], and sees the answer. [`Middlewares`] holds what
//! the components have brought, by name; a [`Pipeline`] is the part of them that a configuration lists, in its order.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use components::metadata::Properties;
use http::{Request, Response};

use crate::body::Body;
use crate::config::Environment;
use crate::config::configuration::PipelineSpec;

mod route_alias;
mod uppercase;
#[cfg(feature = "wasm")]
mod wasm;

pub use route_alias::Aliased;
use route_alias::RouteAlias;
use uppercase::Uppercase;
#[cfg(feature = "wasm")]
pub use wasm::Peer;

/// Log scope, as in daprd 1.18.
const SCOPE: &str = "dapr.middleware.http";

/// Something around requests.
#[async_trait]
pub trait Middleware: Send + Sync {
    /// Answers a request, most often through `next`.
    async fn handle(&self, request: Request<Body>, next: Next<'_>) -> Response<Body>;
}

type Answer<'a> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;

/// The rest of a pipeline, and what it stands before.
pub struct Next<'a> {
    rest: &'a [Arc<dyn Middleware>],
    end: &'a (dyn Fn(Request<Body>) -> Answer<'a> + Send + Sync),
}

impl<'a> Next<'a> {
    /// Passes a request on.
    pub fn run(self, request: Request<Body>) -> Answer<'a> {
        match self.rest.split_first() {
            None => (self.end)(request),
            Some((first, rest)) => first.handle(request, Next { rest, end: self.end }),
        }
    }
}

/// Middleware in order, outermost first. Cheap to clone.
#[derive(Clone, Default)]
pub struct Pipeline {
    chain: Arc<[Arc<dyn Middleware>]>,
}

impl Pipeline {
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// Answers a request: through the chain, then `end`.
    pub async fn run<'a, End>(&'a self, request: Request<Body>, end: End) -> Response<Body>
    where
        End: Fn(Request<Body>) -> Answer<'a> + Send + Sync,
    {
        let end = |request: Request<Body>| -> Answer<'_> { end(request) };
        Next { rest: &self.chain, end: &end }.run(request).await
    }
}

/// A middleware made from a component.
#[derive(Clone)]
pub struct BuiltMiddleware {
    version: String,
    middleware: Arc<dyn Middleware>,
}

/// The loaded middleware by the component's name. Cheap to clone: a reload changes its own copy.
#[derive(Clone, Default)]
pub struct Middlewares {
    by_name: BTreeMap<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    kind: String,
    built: BuiltMiddleware,
}

impl Middlewares {
    /// `kind`: the component's type, `middleware.http.<name>`.
    pub fn insert(&mut self, name: String, kind: String, built: BuiltMiddleware) {
        tracing::info!(target: SCOPE, "Adding {kind}/{} {name} middleware", built.version);
        self.by_name.insert(name, Entry { kind, built });
    }

    pub fn remove(&mut self, name: &str) {
        if let Some(Entry { kind, built }) = self.by_name.remove(name) {
            tracing::info!(target: SCOPE, "Removing {kind}/{} {name} middleware", built.version);
        }
    }

    /// The middleware that `spec` lists. One that is not loaded, or loaded with another type or version, is left out,
    /// as in daprd. `name` is for the log.
    pub fn pipeline(&self, name: &str, spec: &PipelineSpec) -> Pipeline {
        if spec.handlers.is_empty() {
            return Pipeline::default();
        }
        tracing::info!(target: SCOPE, "Building pipeline {name}");
        let chain = spec.handlers.iter().filter_map(|handler| {
            let entry = self.by_name.get(&handler.name)?;
            let is_same = entry.kind == handler.kind && or_v1(&entry.built.version) == or_v1(&handler.version);
            is_same.then(|| entry.built.middleware.clone())
        });
        Pipeline { chain: chain.collect() }
    }
}

fn or_v1(version: &str) -> &str {
    if version.is_empty() { "v1" } else { version }
}

/// What some middleware is made with.
#[derive(Clone, Default)]
pub struct Workshop {
    /// Runs WebAssembly guests.
    #[cfg(feature = "wasm")]
    pub guests: wasm_host::SharedEngine,
    /// Runs those that have a limit of instructions, which makes all guests of the engine slower.
    #[cfg(feature = "wasm")]
    pub counting: wasm_host::SharedEngine,
}

impl Workshop {
    /// `OTTAVO_WASM_CACHE` names a folder for compiled guests, `OTTAVO_WASM_INSTANCES` how many there may be at once.
    pub fn new(environment: &Environment) -> Self {
        #[cfg(feature = "wasm")]
        {
            let mut settings = wasm_host::Settings {
                cache: environment.non_empty("OTTAVO_WASM_CACHE").map(Into::into),
                ..wasm_host::Settings::default()
            };
            if let Some(text) = environment.non_empty("OTTAVO_WASM_INSTANCES") {
                match text.parse() {
                    Ok(instances) if instances > 0 => settings.instances = instances,
                    _ => tracing::warn!(target: SCOPE, "OTTAVO_WASM_INSTANCES is '{text}', which is no number above 0"),
                }
            }
            let counting = wasm_host::Settings { fuel: true, ..settings.clone() };
            Self { guests: wasm_host::SharedEngine::new(settings), counting: wasm_host::SharedEngine::new(counting) }
        }
        #[cfg(not(feature = "wasm"))]
        {
            let _ = environment;
            Self {}
        }
    }
}

/// The types of this build, for the error about unknown ones.
const TYPES: &str = if cfg!(feature = "wasm") {
    "middleware.http.routeralias/v1, middleware.http.uppercase/v1 and middleware.http.wasm/v1"
} else {
    "middleware.http.routeralias/v1 and middleware.http.uppercase/v1"
};

/// Makes a middleware from a component's type, version and resolved properties.
///
/// # Errors
/// What is wrong with it, and which types there are when the type is unknown.
pub async fn build(
    kind: &str,
    version: &str,
    properties: &Properties,
    workshop: &Workshop,
) -> Result<BuiltMiddleware, String> {
    let is_first = matches!(version, "" | "v0" | "v1");
    let middleware: Arc<dyn Middleware> =
        match kind.split_once('.').map_or("", |(_, name)| name).to_ascii_lowercase().as_str() {
            "http.uppercase" if is_first => Arc::new(Uppercase::new(properties)),
            "http.routeralias" if is_first => Arc::new(RouteAlias::new(properties)?),
            #[cfg(feature = "wasm")]
            "http.wasm" if is_first => Arc::new(wasm::Wasm::load(properties, &workshop.guests).await?),
            _ => return Err(format!("couldn't find middleware {kind}/{version}; this build has {TYPES}")),
        };
    #[cfg(not(feature = "wasm"))]
    let _ = workshop;
    Ok(BuiltMiddleware { version: version.to_owned(), middleware })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::configuration::pipeline::Handler;

    /// Leaves its mark on request and answer.
    struct Mark(&'static str);

    #[async_trait]
    impl Middleware for Mark {
        async fn handle(&self, mut request: Request<Body>, next: Next<'_>) -> Response<Body> {
            request.headers_mut().append("in", HeaderValue::from_static(self.0));
            let mut response = next.run(request).await;
            response.headers_mut().append("out", HeaderValue::from_static(self.0));
            response
        }
    }

    fn marks() -> Middlewares {
        let mut middlewares = Middlewares::default();
        for name in ["a", "b"] {
            let built = BuiltMiddleware { version: "v1".into(), middleware: Arc::new(Mark(name)) };
            middlewares.insert(name.into(), "middleware.http.mark".into(), built);
        }
        middlewares
    }

    fn spec(names: &[&str]) -> PipelineSpec {
        let handlers = names
            .iter()
            .map(|name| Handler { name: (*name).into(), kind: "middleware.http.mark".into(), version: String::new() })
            .collect();
        PipelineSpec { handlers }
    }

    #[tokio::test]
    async fn the_first_is_outermost_and_unknown_ones_are_left_out() {
        let pipeline = marks().pipeline("test", &spec(&["b", "none", "a"]));
        let response = pipeline
            .run(Request::new(Body::empty()), |request| {
                Box::pin(async move {
                    let mut response = Response::new(Body::empty());
                    *response.headers_mut() = request.into_parts().0.headers;
                    response
                })
            })
            .await;
        let marks =
            |name| response.headers().get_all(name).iter().map(|mark| mark.to_str().unwrap()).collect::<String>();
        assert_eq!((marks("in"), marks("out")), ("ba".into(), "ab".into()));
    }

    #[test]
    fn types_must_agree() {
        let mut other = spec(&["a"]);
        other.handlers[0].kind = "middleware.http.other".into();
        assert!(marks().pipeline("test", &other).is_empty());
        other.handlers[0].kind = "middleware.http.mark".into();
        other.handlers[0].version = "v2".into();
        assert!(marks().pipeline("test", &other).is_empty());
    }

    #[tokio::test]
    async fn unknown_types_are_named_with_what_exists() {
        let built = build("middleware.http.none", "v1", &Properties::default(), &Workshop::default()).await;
        let Err(error) = built else { panic!("it was built") };
        assert!(error.contains("middleware.http.none") && error.contains("routeralias"), "{error}");
    }
}
