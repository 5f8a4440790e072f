//! The resolver of standalone mode, under the name `nameresolution.mdns`: the registry of this host first, then mDNS.
//!
//! A sidecar is registered in both. Sidecars of the same user on this host find each other without any network, at once
//! and without a trace of those that were killed; all others, a daprd among them, by mDNS.

use std::sync::Arc;

use async_trait::async_trait;

use super::local::{Registry, runtime_folder};
use super::mdns::{Mdns, not_found};
use super::{ResolveRequest, Resolver};
use crate::component::{Built, InitContext, Spec};
use crate::{Error, ErrorKind, Result};

/// It has no options.
pub const PROPERTIES: &[&str] = &[];

/// Registers this sidecar wherever that is possible; fails only when it is possible nowhere.
pub async fn build(_spec: Spec, context: InitContext) -> Result<Built> {
    let registry = Registry::open(&runtime_folder(), &context);
    let mdns = Mdns::start(&context);
    for error in [registry.as_ref().err(), mdns.as_ref().err()].into_iter().flatten() {
        tracing::warn!("name resolution: {error}");
    }
    match (registry, mdns) {
        // The second error tells what is wrong with the instance, if something is.
        (Err(_), Err(error)) => Err(error),
        (registry, mdns) => Ok(Built::NameResolution(Arc::new(Both { registry: registry.ok(), mdns: mdns.ok() }))),
    }
}

struct Both {
    registry: Option<Registry>,
    mdns: Option<Mdns>,
}

impl Both {
    fn all(&self) -> impl Iterator<Item = &dyn Resolver> {
        let registry = self.registry.as_ref().map(|registry| registry as &dyn Resolver);
        registry.into_iter().chain(self.mdns.as_ref().map(|mdns| mdns as &dyn Resolver))
    }
}

#[async_trait]
impl Resolver for Both {
    async fn resolve(&self, request: &ResolveRequest) -> Result<Vec<String>> {
        if request.app_id.is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "empty ID not allowed"));
        }
        for resolver in self.all() {
            match resolver.resolve(request).await {
                Err(error) if *error.kind() == ErrorKind::NotFound => (),
                other => return other,
            }
        }
        Err(not_found(&request.app_id))
    }

    fn forget(&self, app_id: &str, address: &str) {
        self.all().for_each(|resolver| resolver.forget(app_id, address));
    }

    async fn unregister(&self) {
        for resolver in self.all() {
            resolver.unregister().await;
        }
    }

    async fn close(&self) {
        for resolver in self.all() {
            resolver.close().await;
        }
    }
}
