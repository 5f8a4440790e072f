//! `mdns`: sidecars find each other by multicast on the local network, a daprd 1.18 among them.
//!
//! A sidecar is a DNS-SD instance of the service type `<app id>.local.`: there is no `_tcp`, so ordinary browsers and
//! libraries do not see it. One responder and browser serves a sidecar; it listens all the time, so an announcement or
//! a goodbye counts at once.

mod cache;
mod packet;
mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::{ResolveRequest, Resolver, host_port};
use crate::component::InitContext;
use crate::task::Task;
use crate::{Error, ErrorKind, Result};
use cache::Cache;
use packet::{Incoming, Service};
use socket::Sockets;

/// How long a caller waits for the first answer about an app id that is not known yet, as in daprd.
const BROWSE: Duration = Duration::from_secs(1);

/// When questions are sent within that time: multicast may lose any of them.
const QUESTIONS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(150), Duration::from_millis(500)];

/// How often what was asked for lately is asked again, as in daprd.
const REFRESH: Duration = Duration::from_secs(30);

/// When an announcement is repeated.
const REPEAT: Duration = Duration::from_secs(1);

/// A sidecar's place in the network.
pub struct Mdns {
    shared: Arc<Shared>,
    listener: Task,
    keeper: Task,
}

struct Shared {
    sockets: Sockets,
    /// What this sidecar answers with.
    service: Service,
    cache: Cache,
    /// Cancelled when the sidecar has said goodbye.
    left: CancellationToken,
}

impl Mdns {
    /// Opens the sockets and announces the sidecar of `context`.
    ///
    /// # Errors
    /// An instance without name, address or port, with daprd's texts; no interface that can be used.
    pub fn start(context: &InitContext) -> Result<Self> {
        let instance = &context.instance;
        if context.app_id.is_empty() {
            return Err(Error::config("name is missing"));
        }
        if instance.address.is_empty() {
            return Err(Error::config("address is missing"));
        }
        if instance.internal_port == 0 {
            return Err(Error::config("port is missing or invalid"));
        }
        let address: IpAddr = instance
            .address
            .parse()
            .map_err(|_| Error::config(format!("address '{}' is not an IP address", instance.address)))?;
        let address = SocketAddr::new(address, instance.internal_port);
        let service = Service::new(&context.app_id, address)?;
        let sockets = Sockets::open()
            .map_err(|error| Error::new(ErrorKind::Unavailable, format!("mDNS is not possible here: {error}")))?;
        let shared = Arc::new(Shared { sockets, service, cache: Cache::default(), left: CancellationToken::new() });
        let listener = Task::spawn(|token| listen(shared.clone(), token));
        let keeper = Task::spawn(|token| keep(shared.clone(), token));
        tracing::info!("local service entry announced: {} -> {address}", context.app_id);
        Ok(Self { shared, listener, keeper })
    }

    /// Addresses that are known without asking the network.
    fn known(&self, app_id: &str) -> Option<Vec<String>> {
        let addresses = self.shared.cache.addresses(app_id, Instant::now());
        let texts = addresses.iter().map(|address| host_port(address.ip(), address.port()));
        (!addresses.is_empty()).then(|| texts.collect())
    }
}

#[async_trait]
impl Resolver for Mdns {
    async fn resolve(&self, request: &ResolveRequest) -> Result<Vec<String>> {
        let app_id = &request.app_id;
        // From here on answers about it are kept.
        let news = self.shared.cache.watch(app_id, Instant::now());
        if let Some(addresses) = self.known(app_id) {
            return Ok(addresses);
        }
        let asking = async {
            let start = tokio::time::Instant::now();
            for at in QUESTIONS {
                tokio::time::sleep_until(start + at).await;
                self.shared.ask(app_id).await;
            }
            std::future::pending::<()>().await;
        };
        let hearing = async {
            loop {
                // Made before the look, so that nothing between the two is missed.
                let heard = news.notified();
                if let Some(addresses) = self.known(app_id) {
                    return addresses;
                }
                heard.await;
            }
        };
        tokio::select! {
            addresses = hearing => Ok(addresses),
            () = asking => Err(not_found(app_id)),
            () = tokio::time::sleep(BROWSE) => Err(not_found(app_id)),
        }
    }

    fn forget(&self, app_id: &str, address: &str) {
        if let Ok(address) = address.parse() {
            self.shared.cache.remove(app_id, address);
        }
    }

    /// Says goodbye, twice since it may get lost.
    async fn unregister(&self) {
        if self.shared.left.is_cancelled() {
            return;
        }
        self.shared.left.cancel();
        for _ in 0..2 {
            self.shared.sockets.send_to_all(&self.shared.service.goodbye()).await;
        }
    }

    async fn close(&self) {
        self.unregister().await;
        self.keeper.stop().await;
        self.listener.stop().await;
    }
}

pub(super) fn not_found(app_id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("couldn't find service: {app_id}"))
}

impl Shared {
    async fn ask(&self, app_id: &str) {
        match packet::question(app_id) {
            Ok(question) => self.sockets.send_to_all(&question).await,
            Err(error) => tracing::debug!("mDNS cannot ask for {app_id}: {error}"),
        }
    }

    async fn take(&self, datagram: &[u8], from: SocketAddr) {
        match packet::parse(datagram) {
            Some(Incoming::Questions(message)) if !self.left.is_cancelled() => {
                if let Some(answer) = self.service.answer(&message, from.port()) {
                    if answer.unicast {
                        self.sockets.send(&answer.datagram, from).await;
                    } else {
                        self.sockets.send_to_all(&answer.datagram).await;
                    }
                }
            }
            Some(Incoming::Answers(found)) => {
                for instance in found {
                    self.cache.heard(instance, Instant::now());
                }
            }
            _ => (),
        }
    }
}

async fn listen(shared: Arc<Shared>, token: CancellationToken) {
    let mut buffers = socket::Buffers::default();
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            received = shared.sockets.receive(&mut buffers) => match received {
                Ok((datagram, from)) => shared.take(&datagram, from).await,
                Err(error) => {
                    tracing::debug!("mDNS: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
}

/// Announces, and then keeps what is known fresh and the sockets in step with the interfaces.
async fn keep(shared: Arc<Shared>, token: CancellationToken) {
    for pause in [Duration::ZERO, REPEAT] {
        tokio::select! {
            () = token.cancelled() => return,
            () = shared.left.cancelled() => break,
            () = tokio::time::sleep(pause) => shared.sockets.send_to_all(&shared.service.announcement()).await,
        }
    }
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            () = tokio::time::sleep(REFRESH) => (),
        }
        shared.sockets.follow_interfaces();
        for app_id in shared.cache.wanted(Instant::now()) {
            shared.ask(&app_id).await;
        }
    }
}
