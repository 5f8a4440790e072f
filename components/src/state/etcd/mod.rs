//! `state.etcd`, versions 1 and 2: a key of etcd for each key; they differ in how values are stored.
//!
//! ETags are etcd's modification revisions. Comparing and writing is one transaction of etcd, so unlike in daprd nothing
//! can happen in between, and a transaction of ours whose ETags do not match changes nothing.

mod schema;
mod store;

use std::sync::Arc;

use crate::clients::etcd::Client;
use crate::component::{Built, InitContext, Spec};
use crate::{Error, Result};
use schema::Schema;
use store::EtcdStore;

pub const PROPERTIES: &[&str] = &["endpoints", "keyPrefixPath", "tlsEnable", "ca", "cert", "key", "maxTxnOps"];

/// The most operations that etcd takes in one transaction, unless its `--max-txn-ops` says otherwise.
const MAX_TXN_OPS: usize = 128;

/// Version 1: values as they are.
pub async fn build_v1(spec: Spec, _context: InitContext) -> Result<Built> {
    build(spec, Schema::Plain)
}

/// Version 2: values in an envelope that tells when they end.
pub async fn build_v2(spec: Spec, _context: InitContext) -> Result<Built> {
    build(spec, Schema::Envelope)
}

/// Dials nothing: an unreachable server fails the requests, not the component.
fn build(spec: Spec, schema: Schema) -> Result<Built> {
    let max_ops = spec
        .properties
        .number(&["maxTxnOps"])
        .map_err(|error: Error| error.context("couldn't convert metadata properties"))?
        .unwrap_or(MAX_TXN_OPS);
    let client = Client::new(&spec.properties).map_err(|error| error.context("initializing etcd client"))?;
    let prefix = spec.properties.get(&["keyPrefixPath"]).unwrap_or_default();
    Ok(Built::State(Arc::new(EtcdStore { client, schema, prefix: format!("{prefix}/"), max_ops })))
}
