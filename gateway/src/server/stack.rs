//! The stacks between socket and API: which layer stands where, and why.

use components::Secret;
use tower::ServiceBuilder;

use super::{Overload, ServeConnection};
use crate::body::Body;
use crate::grpc::GrpcApi;
use crate::http::HttpApi;
use crate::layers::{
    Admission, ApiLog, ApiToken, BodyLimit, CatchPanic, Cors, CountRequests, H2cUpgrade, HeaderLimit, Trace,
    UserPipeline,
};
use crate::operation::Front;
use crate::telemetry::{Metrics, Tracer};

impl ServeConnection for HttpApi {
    async fn serve(&self, request: http::Request<Body>) -> http::Response<Body> {
        self.call(request).await
    }
}

impl ServeConnection for GrpcApi {
    async fn serve(&self, request: http::Request<Body>) -> http::Response<Body> {
        self.call(request).await
    }
}

/// What the stacks are made from.
#[derive(Clone)]
pub struct Settings {
    /// Bytes; 0 for no limit.
    pub max_body_size: usize,
    /// Bytes of a header block.
    pub read_buffer_size: usize,
    pub api_token: Option<Secret>,
    pub cors: Cors,
    pub pipeline: UserPipeline,
    pub api_log: ApiLogSettings,
    pub metrics: Metrics,
    pub tracer: Tracer,
    pub h2c: bool,
    pub overload: Overload,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct ApiLogSettings {
    pub enabled: bool,
    pub obfuscate_urls: bool,
    pub omit_health_checks: bool,
}

impl ApiLogSettings {
    fn layer(self, front: Front) -> ApiLog {
        ApiLog {
            front,
            enabled: self.enabled,
            obfuscate_urls: self.obfuscate_urls,
            omit_health_checks: self.omit_health_checks,
        }
    }
}

impl Settings {
    fn admission(&self, front: Front) -> Admission {
        Admission { overload: self.overload.clone(), front }
    }
}

/// The HTTP API, in the order in which daprd 1.18 has it.
pub fn http(settings: &Settings, api: HttpApi) -> impl ServeConnection {
    ServiceBuilder::new()
        // Outermost: what is answered on the new protocol passes every layer below.
        .layer(H2cUpgrade { enabled: settings.h2c })
        // A panic further in must not take the connection's other requests with it.
        .layer(CatchPanic { front: Front::Http })
        // Before tracing: such an answer carries no trace header.
        .layer(HeaderLimit { limit: settings.read_buffer_size })
        .layer(BodyLimit { limit: settings.max_body_size })
        .layer(Trace { tracer: settings.tracer.clone(), front: Front::Http })
        .layer(CountRequests { metrics: settings.metrics.clone(), front: Front::Http })
        // What is refused is counted, and costs no more than that.
        .layer(settings.admission(Front::Http))
        // Before the token: a browser's preflight cannot bring one.
        .layer(settings.cors.clone())
        .layer(ApiToken { token: settings.api_token.clone(), front: Front::Http })
        .layer(settings.pipeline.clone())
        // Innermost, so that the line shows the path which the pipeline left.
        .layer(settings.api_log.layer(Front::Http))
        .service(api)
}

/// Health and metadata for probes: no token, no CORS, no pipeline, no log.
pub fn public(settings: &Settings, api: HttpApi) -> impl ServeConnection {
    ServiceBuilder::new()
        .layer(CatchPanic { front: Front::Http })
        .layer(HeaderLimit { limit: settings.read_buffer_size })
        .layer(Trace { tracer: settings.tracer.clone(), front: Front::Http })
        .layer(CountRequests { metrics: settings.metrics.clone(), front: Front::Http })
        .service(api)
}

/// The gRPC API. The token comes first, as in daprd: an unauthenticated call is neither traced nor counted.
pub fn grpc(settings: &Settings, api: GrpcApi) -> impl ServeConnection {
    ServiceBuilder::new()
        .layer(CatchPanic { front: Front::Grpc })
        .layer(ApiToken { token: settings.api_token.clone(), front: Front::Grpc })
        .layer(Trace { tracer: settings.tracer.clone(), front: Front::Grpc })
        .layer(CountRequests { metrics: settings.metrics.clone(), front: Front::Grpc })
        .layer(settings.admission(Front::Grpc))
        .layer(settings.api_log.layer(Front::Grpc))
        .service(api)
}

/// Calls of functions. They are an application of this sidecar: who may call them is said in front of it.
#[cfg(feature = "wasm")]
pub fn functions<S: ServeConnection>(settings: &Settings, service: S) -> impl ServeConnection + use<S> {
    ServiceBuilder::new()
        .layer(CatchPanic { front: Front::Http })
        .layer(HeaderLimit { limit: settings.read_buffer_size })
        .layer(BodyLimit { limit: settings.max_body_size })
        .layer(Trace { tracer: settings.tracer.clone(), front: Front::Http })
        .service(service)
}

/// Managing functions: for whoever has the API's token.
#[cfg(feature = "wasm")]
pub fn functions_admin<S: ServeConnection>(settings: &Settings, service: S) -> impl ServeConnection + use<S> {
    ServiceBuilder::new()
        .layer(CatchPanic { front: Front::Http })
        .layer(HeaderLimit { limit: settings.read_buffer_size })
        .layer(ApiToken { token: settings.api_token.clone(), front: Front::Http })
        .service(service)
}

/// Calls of other sidecars.
pub fn internal<S: ServeConnection>(settings: &Settings, service: S) -> impl ServeConnection + use<S> {
    ServiceBuilder::new()
        .layer(CatchPanic { front: Front::Grpc })
        .layer(CountRequests { metrics: settings.metrics.clone(), front: Front::Grpc })
        .service(service)
}
