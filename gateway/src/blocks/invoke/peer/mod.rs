//! Calls of another sidecar's application.
//!
//! Two Ottavos relay the call as HTTP/2 ([`relay`]); a daprd gets Dapr's own stream of messages ([`stream`]). Which of
//! them answers is learned once for each connection: a daprd refuses a relayed call before it looks at it.

pub mod relay;
mod stream;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

use super::call::{AppReply, CallHead};
use super::replay::Source;
use crate::client::grpc::Failure;
use crate::client::http2::{Http2Pool, Keepalive, Lease};
use crate::client::{ClientError, Origin};
use crate::telemetry::trace::SpanContext;

/// What connections have learned of their other side.
const IS_OTTAVO: usize = 1;
const IS_DAPRD: usize = 2;

/// The connections to other sidecars. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    pools: Arc<Mutex<HashMap<String, Http2Pool>>>,
    /// The most bytes of one message; 0 for no limit.
    limit: usize,
}

/// A call that another sidecar, or the way to it, has failed.
#[derive(Debug)]
pub struct PeerError {
    pub status: Status,
    /// The other side has certainly not begun with it.
    pub is_unprocessed: bool,
    /// In place of the status, where daprd's message is none.
    pub text: Option<String>,
}

impl From<ClientError> for PeerError {
    fn from(error: ClientError) -> Self {
        let Failure { status, is_unprocessed, .. } = error.into();
        Self { status, is_unprocessed, text: None }
    }
}

impl From<Status> for PeerError {
    fn from(status: Status) -> Self {
        Self { status, is_unprocessed: false, text: None }
    }
}

impl Peers {
    pub fn new(limit: usize) -> Self {
        Self { pools: Arc::default(), limit }
    }

    /// The connections to `host:port`.
    pub fn pool(&self, address: &str) -> Result<Http2Pool, ClientError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(address) {
            return Ok(pool.clone());
        }
        let pool = Http2Pool::new(Origin::from_address(address, None)?, Some(Keepalive::PEERS));
        // Sidecars come and go, each with an address of its own.
        pools.retain(|_, pool| pool.is_connected());
        pools.insert(address.to_owned(), pool.clone());
        Ok(pool)
    }

    /// Nothing is at `address` any more. Calls under way go on.
    pub fn forget(&self, address: &str) {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }

    /// Calls the application behind the sidecar at `address`.
    pub async fn call(
        &self,
        address: &str,
        app_id: &str,
        head: &CallHead,
        source: &Source,
        trace: Option<&SpanContext>,
    ) -> Result<AppReply, PeerError> {
        let pool = self.pool(address)?;
        let lease = pool.lease().await?;
        match lease.learned() {
            IS_OTTAVO => match relay::call(&pool, lease, head, source, trace).await? {
                Some(reply) => Ok(reply),
                None => Err(Status::unavailable(format!("{address} has stopped to relay calls")).into()),
            },
            IS_DAPRD => Box::pin(stream::call(&pool, lease, app_id, head, source, trace, self.limit)).await,
            _ => Box::pin(self.first_call(&pool, lease, app_id, head, source, trace)).await,
        }
    }

    /// The first call over a connection: a body that can be sent again is tried with; for any other the question is asked
    /// first.
    async fn first_call(
        &self,
        pool: &Http2Pool,
        lease: Lease,
        app_id: &str,
        head: &CallHead,
        source: &Source,
        trace: Option<&SpanContext>,
    ) -> Result<AppReply, PeerError> {
        let other = lease.again();
        let answer = match source {
            Source::Kept(_) => relay::call(pool, lease, head, source, trace).await?,
            Source::Once(_) => {
                let relays = relay::ask(pool, lease).await?;
                other.learn(if relays { IS_OTTAVO } else { IS_DAPRD });
                if relays { relay::call(pool, other.again(), head, source, trace).await? } else { None }
            }
        };
        other.learn(if answer.is_some() { IS_OTTAVO } else { IS_DAPRD });
        match answer {
            Some(reply) => Ok(reply),
            None => stream::call(pool, other, app_id, head, source, trace, self.limit).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_without_a_connection_are_not_kept() {
        let peers = Peers::new(0);
        for port in 1..=3 {
            peers.pool(&format!("127.0.0.1:{port}")).unwrap();
        }
        assert_eq!(peers.pools.lock().unwrap().keys().collect::<Vec<_>>(), ["127.0.0.1:3"]);
    }
}
