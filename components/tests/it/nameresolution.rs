//! The behaviour of a name resolver.

mod daprd;
mod mdns;
mod sqlite;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use components::ErrorKind;
use components::nameresolution::{ResolveRequest, Resolver};
use uuid::Uuid;

use crate::fixtures::{eventually, resolver};

/// An app id of nobody else.
fn app_id() -> String {
    format!("app-{}", Uuid::new_v4().simple())
}

async fn resolve(resolver: &dyn Resolver, app_id: &str) -> Option<Vec<String>> {
    let request = ResolveRequest { app_id: app_id.to_owned(), ..ResolveRequest::default() };
    match resolver.resolve(&request).await {
        Ok(addresses) => {
            assert!(!addresses.is_empty());
            Some(addresses)
        }
        Err(error) => {
            assert_eq!(*error.kind(), ErrorKind::NotFound, "{error}");
            None
        }
    }
}

/// `make` makes the resolver of a sidecar with an app id at a port of this host.
async fn run<F, Fut>(make: F)
where
    F: Fn(String, u16) -> Fut,
    Fut: Future<Output = Arc<dyn Resolver>>,
{
    let (caller, one, two) = (app_id(), app_id(), app_id());
    let resolver = make(caller.clone(), 40001).await;
    let first = make(one.clone(), 40002).await;
    let second = make(two.clone(), 40003).await;
    // Everybody is found by everybody, also by oneself.
    let found = |app_id: String, port: u16| {
        let resolver = &resolver;
        async move { resolve(&**resolver, &app_id).await == Some(vec![format!("127.0.0.1:{port}")]) }
    };
    for (app_id, port) in [(&one, 40002), (&two, 40003), (&caller, 40001)] {
        eventually("the sidecar is found", || found(app_id.clone(), port)).await;
    }
    assert_eq!(resolve(&*resolver, &app_id()).await, None);

    // Several sidecars of one app take turns, or at least all get one.
    let third = make(one.clone(), 40004).await;
    let seen = Mutex::new(BTreeSet::new());
    eventually("both are offered first", || async {
        let first = resolve(&*resolver, &one).await.map(|addresses| addresses[0].clone());
        let mut seen = seen.lock().expect("not poisoned");
        seen.extend(first);
        seen.len() == 2
    })
    .await;

    // Who leaves in order is not found any more.
    third.unregister().await;
    eventually("the second one is gone", || found(one.clone(), 40002)).await;
    second.unregister().await;
    eventually("the sidecar is gone", || async { resolve(&*resolver, &two).await.is_none() }).await;
    for resolver in [resolver, first, second, third] {
        resolver.close().await;
    }
}

/// The registry of this host and mDNS together.
#[tokio::test]
async fn the_default() {
    run(async |app_id, port| resolver("nameresolution.mdns", &app_id, port, &[]).await).await;
}
