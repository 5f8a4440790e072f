//! `state.etcd` against a real server.

use std::process::Command;

use bytes::Bytes;
use components::state::{GetRequest, Op, Options, SetRequest, Value};
use components::{ErrorKind, Metadata};

use super::cases;
use crate::fixtures::{self, build_error};
use crate::servers::{self, Server};

fn etcdctl(server: &Server, arguments: &[&str]) -> String {
    let output = Command::new("etcdctl")
        .env("ETCDCTL_API", "3")
        .args(["--endpoints", &server.address()])
        .args(arguments)
        .output()
        .expect("etcdctl of the package etcd-client");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn set(key: &str, json: &'static str) -> SetRequest {
    SetRequest {
        key: key.to_owned(),
        value: Value::Json(Bytes::from_static(json.as_bytes())),
        etag: None,
        options: Options::default(),
        metadata: Metadata::new(),
    }
}

#[tokio::test]
async fn both_versions() {
    let server = servers::etcd();
    let address = server.address();
    let v1 = fixtures::state("state.etcd", "v1", &[("endpoints", &address)]).await;
    cases::run(&*v1).await;
    // One of the servers is not there.
    let endpoints = format!("http://{address},127.0.0.1:{}", servers::free_port());
    let v2 = fixtures::state("state.etcd", "v2", &[("endpoints", &endpoints), ("keyPrefixPath", "some/where")]).await;
    cases::run(&*v2).await;
}

#[tokio::test]
async fn keys_and_values_are_what_daprd_writes() {
    let server = servers::etcd();
    let address = server.address();
    let v1 = fixtures::state("state.etcd", "v1", &[("endpoints", &address)]).await;
    v1.set(&set("app||k", "{\"a\":1}")).await.unwrap();
    assert_eq!(etcdctl(&server, &["get", "", "--prefix"]), "/app||k\n{\"a\":1}");
    let v2 = fixtures::state("state.etcd", "v2", &[("endpoints", &address), ("keyPrefixPath", "p")]).await;
    v2.set(&SetRequest { metadata: Metadata::from([("ttlInSeconds".into(), "60".into())]), ..set("k", "\"x\"") })
        .await
        .unwrap();
    assert!(etcdctl(&server, &["get", "p/k", "--print-value-only"]).contains("\"x\""));
    let reply = v2.get(&GetRequest { key: "k".to_owned(), ..GetRequest::default() }).await.unwrap();
    assert_eq!(reply.data.as_deref(), Some(&b"\"x\""[..]));
    assert!(reply.metadata.contains_key("ttlExpireTime"));
    let leases = etcdctl(&server, &["lease", "list"]);
    assert!(leases.starts_with("found 1 leases"), "{leases}");
}

#[tokio::test]
async fn a_write_that_fails_leaves_no_lease() {
    let server = servers::etcd();
    let store = fixtures::state("state.etcd", "v1", &[("endpoints", &server.address())]).await;
    let request = SetRequest {
        etag: Some("bogus".to_owned()),
        metadata: Metadata::from([("ttlInSeconds".into(), "600".into())]),
        ..set("k", "1")
    };
    let error = store.set(&request).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::EtagMismatch);
    assert_eq!(
        error.message(),
        "possible etag mismatch. error from state store: state not exist or expired for key=/k"
    );
    assert!(etcdctl(&server, &["lease", "list"]).starts_with("found 0 leases"));
}

#[tokio::test]
async fn a_transaction_has_a_limit() {
    let server = servers::etcd();
    let address = server.address();
    let store = fixtures::state("state.etcd", "v1", &[("endpoints", &address)]).await;
    assert_eq!(store.max_transaction_size(), Some(128));
    let operations: Vec<Op> = (0..128).map(|number| Op::Upsert(set(&format!("k{number}"), "1"))).collect();
    store.transact(&operations, &Metadata::new()).await.unwrap();
    // All of one age: the pages must not lose any.
    let mut keys = 0;
    let mut continuation = None;
    loop {
        let page = store.keys_like("k%", 50, continuation.as_deref()).await.unwrap();
        keys += page.keys.len();
        continuation = page.continuation;
        if continuation.is_none() {
            break;
        }
    }
    assert_eq!(keys, 128);
    let metadata = [("endpoints", address.as_str()), ("maxTxnOps", "7")];
    assert_eq!(fixtures::state("state.etcd", "v1", &metadata).await.max_transaction_size(), Some(7));
}

#[tokio::test]
async fn a_server_may_come_later() {
    let address = format!("127.0.0.1:{}", servers::free_port());
    let store = fixtures::state("state.etcd", "v1", &[("endpoints", &address)]).await;
    let error = store.get(&GetRequest { key: "k".to_owned(), ..GetRequest::default() }).await.err().unwrap();
    assert!(error.message().starts_with("couldn't get key /k: "), "{error}");
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
}

#[tokio::test]
async fn wrong_metadata_does_not_build() {
    assert_eq!(build_error("state.etcd", "v2", &[]).await, "initializing etcd client: endpoints required");
    let metadata = [("endpoints", "h:1"), ("tlsEnable", "true")];
    assert_eq!(
        build_error("state.etcd", "v1", &metadata).await,
        "initializing etcd client: tls authentication information is incomplete"
    );
}
