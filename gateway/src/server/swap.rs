//! A service that can be replaced while its listener goes on: requests under way keep the one they began with.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{Request, Response, StatusCode};

use super::ServeConnection;
use crate::body::Body;

type Answer<'a> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;

trait Serve: Send + Sync {
    fn serve(self: Arc<Self>, request: Request<Body>) -> Answer<'static>;
}

impl<S: ServeConnection> Serve for S {
    fn serve(self: Arc<Self>, request: Request<Body>) -> Answer<'static> {
        Box::pin(async move { ServeConnection::serve(&*self, request).await })
    }
}

/// Serves with whatever was put in last.
#[derive(Clone)]
pub struct Swap(Arc<ArcSwap<Arc<dyn Serve>>>);

impl Default for Swap {
    /// Refuses everything until a service is put in.
    fn default() -> Self {
        let starting: Arc<dyn Serve> = Arc::new(Starting);
        Self(Arc::new(ArcSwap::from_pointee(starting)))
    }
}

impl Swap {
    /// Replaces the service for requests from now on.
    pub fn put(&self, service: impl ServeConnection) {
        let service: Arc<dyn Serve> = Arc::new(service);
        self.0.store(Arc::new(service));
    }
}

impl ServeConnection for Swap {
    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let service: Arc<dyn Serve> = Arc::clone(&**self.0.load());
        service.serve(request).await
    }
}

/// What answers before anything else can.
#[derive(Clone)]
struct Starting;

impl ServeConnection for Starting {
    async fn serve(&self, _request: Request<Body>) -> Response<Body> {
        let mut response = Response::new(Body::full("the sidecar is starting"));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response
    }
}
