//! etcd: what is needed of its v3 API, over lazily dialled connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Response, Status};

use crate::metadata::{Properties, is_truthy};
use crate::{Error, ErrorKind, Result};

/// Messages and clients, generated from `proto/etcd`.
pub mod pb {
    pub mod mvccpb {
        include!(concat!(env!("OUT_DIR"), "/mvccpb.rs"));
    }

    pub mod etcdserverpb {
        include!(concat!(env!("OUT_DIR"), "/etcdserverpb.rs"));
    }

    pub mod state_v2 {
        include!(concat!(env!("OUT_DIR"), "/dapr.proto.components.state.v2.rs"));
    }
}

use pb::etcdserverpb::kv_client::KvClient;
use pb::etcdserverpb::lease_client::LeaseClient;
use pb::etcdserverpb::{LeaseGrantRequest, LeaseRevokeRequest, RangeRequest, RangeResponse, TxnRequest, TxnResponse};

/// The time for a connection and for each request, as in daprd.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client of one or more servers.
#[derive(Clone)]
pub struct Client {
    channels: Vec<Channel>,
    /// The place of the server that answered last.
    current: Arc<AtomicUsize>,
}

impl Client {
    /// Reads `endpoints`, `tlsEnable`, `ca`, `cert` and `key`. Nothing is dialled before the first request, so servers
    /// may come later.
    pub fn new(properties: &Properties) -> Result<Self> {
        let endpoints: Vec<&str> =
            properties.get(&["endpoints"]).unwrap_or_default().split(',').map(str::trim).collect();
        if endpoints.first().is_none_or(|first| first.is_empty()) {
            return Err(Error::config("endpoints required"));
        }
        let tls = tls(properties)?;
        let endpoints = endpoints
            .into_iter()
            .filter(|endpoint| !endpoint.is_empty())
            .map(|text| endpoint(text, tls.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let channels = endpoints.iter().map(Endpoint::connect_lazy).collect();
        Ok(Self { channels, current: Arc::default() })
    }

    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse> {
        self.ask(|channel| {
            let request = request.clone();
            async move { kv(channel).range(request).await }
        })
        .await
    }

    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse> {
        self.ask(|channel| {
            let request = request.clone();
            async move { kv(channel).txn(request).await }
        })
        .await
    }

    /// A lease of at least that many seconds; its number.
    pub async fn grant(&self, seconds: i64) -> Result<i64> {
        let request = LeaseGrantRequest { ttl: seconds, id: 0 };
        Ok(self.ask(|channel| async move { LeaseClient::new(channel).lease_grant(request).await }).await?.id)
    }

    /// Ends a lease that nothing came to depend on.
    pub async fn revoke(&self, id: i64) {
        let request = LeaseRevokeRequest { id };
        if let Err(error) =
            self.ask(|channel| async move { LeaseClient::new(channel).lease_revoke(request).await }).await
        {
            tracing::debug!("etcd: a lease that is not needed lives on until its end: {error}");
        }
    }

    /// Asks the server that answered last; when it cannot be reached, the others. A request that reached a server is
    /// not sent again: it may have been carried out.
    async fn ask<T, Fut>(&self, request: impl Fn(Channel) -> Fut) -> Result<T>
    where
        Fut: Future<Output = std::result::Result<Response<T>, Status>>,
    {
        let asking = async {
            let first = self.current.load(Ordering::Relaxed);
            let mut failure = None;
            for place in (first..first + self.channels.len()).map(|place| place % self.channels.len()) {
                match request(self.channels[place].clone()).await {
                    Err(status) if is_unreachable(&status) => failure = Some(error(&status)),
                    Err(status) => return Err(error(&status)),
                    Ok(reply) => {
                        self.current.store(place, Ordering::Relaxed);
                        return Ok(reply.into_inner());
                    }
                }
            }
            Err(failure.unwrap_or_else(|| Error::config("endpoints required")))
        };
        match tokio::time::timeout(PATIENCE, asking).await {
            Ok(result) => result,
            Err(_) => Err(Error::new(ErrorKind::Timeout, "context deadline exceeded")),
        }
    }
}

fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(usize::MAX)
}

/// Whether no connection could be made. An answer that says "unavailable" came from a server.
fn is_unreachable(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return status.code() == Code::Unavailable;
        }
        cause = error.source();
    }
    false
}

fn error(status: &Status) -> Error {
    let kind = match status.code() {
        Code::Unavailable => ErrorKind::Unavailable,
        Code::DeadlineExceeded => ErrorKind::Timeout,
        _ => ErrorKind::Other,
    };
    Error::new(kind, status.message())
}

fn tls(properties: &Properties) -> Result<Option<ClientTlsConfig>> {
    if !properties.get(&["tlsEnable"]).is_some_and(is_truthy) {
        return Ok(None);
    }
    let text = |name: &str| properties.get(&[name]).filter(|text| !text.is_empty());
    match (text("ca"), text("cert"), text("key")) {
        (Some(ca), Some(cert), Some(key)) => Ok(Some(
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca)).identity(Identity::from_pem(cert, key)),
        )),
        _ => Err(Error::config("tls authentication information is incomplete")),
    }
}

/// `host:port`, or a URL.
fn endpoint(text: &str, tls: Option<&ClientTlsConfig>) -> Result<Endpoint> {
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))
        .map_err(|error| Error::config(format!("endpoint '{text}': {error}")))?
        .connect_timeout(PATIENCE);
    match tls {
        None => Ok(endpoint),
        // The library's error says where the certificates are wrong, and prints nothing of the key.
        Some(tls) => endpoint
            .tls_config(tls.clone())
            .map_err(|error| Error::config(format!("tls authentication error: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(entries: &[(&str, &str)]) -> String {
        let entries = entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Client::new(&Properties::new(entries)).err().expect("refused").message().to_owned()
    }

    #[tokio::test]
    async fn wrong_options_are_refused_with_daprs_texts() {
        assert_eq!(error(&[]), "endpoints required");
        assert_eq!(error(&[("endpoints", "")]), "endpoints required");
        let incomplete = [("endpoints", "h:1"), ("tlsEnable", "true"), ("ca", "x")];
        assert_eq!(error(&incomplete), "tls authentication information is incomplete");
        assert!(error(&[("endpoints", "h h:1")]).starts_with("endpoint 'h h:1': "));
    }
}
