//! `state.redis` against real servers, and what it writes.

use bytes::Bytes;
use components::state::{Concurrency, Consistency, GetRequest, Op, Options, SetRequest, StateStore, Value};
use components::{ErrorKind, Metadata};

use super::cases;
use crate::fixtures::{self, build_error, eventually};
use crate::servers::{self, Server, redis_cli};

async fn store(server: &Server, more: &[(&str, &str)]) -> std::sync::Arc<dyn StateStore> {
    let address = server.address();
    let mut metadata = vec![("redisHost", address.as_str())];
    metadata.extend_from_slice(more);
    fixtures::state("state.redis", "v1", &metadata).await
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

async fn text(store: &dyn StateStore, key: &str) -> Option<String> {
    let request = GetRequest { key: key.to_owned(), ..GetRequest::default() };
    let data = store.get(&request).await.expect("get").data;
    data.map(|data| String::from_utf8_lossy(&data).into_owned())
}

#[tokio::test]
async fn one_server() {
    let server = servers::redis(&[]);
    let store = store(&server, &[]).await;
    cases::run(&*store).await;
    store.close().await;
}

#[tokio::test]
async fn a_password_and_a_database() {
    let server = servers::redis(&["--requirepass", "hunter2"]);
    let store = store(&server, &[("redisPassword", "hunter2"), ("redisDB", "3"), ("poolSize", "1")]).await;
    cases::run(&*store).await;
    store.close().await;
}

#[tokio::test]
async fn tls_with_a_certificate_of_our_own() {
    let (server, certificate, key) = servers::redis_tls();
    let address = server.address();
    let identity =
        [("redisHost", address.as_str()), ("enableTLS", "true"), ("clientCert", &certificate), ("clientKey", &key)];
    // Nobody has signed the server's certificate.
    let error = build_error("state.redis", "v1", &identity).await;
    assert!(error.starts_with("redis store: error connecting to redis at "), "{error}");
    let insecure = [identity.as_slice(), &[("insecureSkipTLSVerify", "true")]].concat();
    let store = fixtures::state("state.redis", "v1", &insecure).await;
    store.set(&set("k", "1")).await.unwrap();
    assert_eq!(text(&*store, "k").await.as_deref(), Some("1"));
    store.close().await;
    let bad =
        [("redisHost", address.as_str()), ("enableTLS", "true"), ("clientCert", &certificate), ("clientKey", "secret")];
    let error = build_error("state.redis", "v1", &bad).await;
    assert!(error.ends_with("clientKey is not a private key in PEM"), "{error}");
}

#[tokio::test]
async fn a_cluster() {
    let nodes = servers::redis_cluster();
    let hosts = format!("{},{}", nodes[0].address(), nodes[1].address());
    let store = fixtures::state("state.redis", "v1", &[("redisHost", &hosts), ("redisType", "cluster")]).await;
    // The braces keep all keys in one slot: only there is a transaction all or nothing.
    cases::run_below(&*store, "{one}".to_owned()).await;
    let keys: Vec<String> = (0..20).map(|number| format!("spread-{number}")).collect();
    let operations: Vec<Op> = keys.iter().map(|key| Op::Upsert(set(key, "1"))).collect();
    store.transact(&operations, &Metadata::new()).await.unwrap();
    for key in &keys {
        assert_eq!(text(&*store, key).await.as_deref(), Some("1"), "{key}");
    }
    assert_eq!(store.keys_like("spread-%", 0, None).await.unwrap().keys.len(), 20);
    store.close().await;
}

#[tokio::test]
async fn a_sentinel() {
    let (_server, sentinel) = servers::redis_sentinel();
    let store = store(&sentinel, &[("failover", "true"), ("sentinelMasterName", "primary")]).await;
    cases::run(&*store).await;
    store.close().await;
}

#[tokio::test]
async fn a_key_is_the_hash_that_daprd_writes() {
    let server = servers::redis(&[]);
    let store = store(&server, &[]).await;
    store.set(&set("app||k", "{\"a\":1}")).await.unwrap();
    assert_eq!(redis_cli(&server, "HGETALL app||k"), "data\n{\"a\":1}\nversion\n1");
    let options = Options { concurrency: Concurrency::FirstWrite, consistency: Consistency::Strong };
    store.set(&SetRequest { options, ..set("app||first", "2") }).await.unwrap();
    assert_eq!(redis_cli(&server, "HGETALL app||first"), "data\n2\nfirst-write\n0\nversion\n1");
    // A key that was written first is not replaced without its version, whatever the concurrency.
    let error = store.set(&set("app||first", "3")).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Other);
    assert!(error.message().starts_with("failed to set key app||first"), "{error}");
    // What a transaction writes is not marked.
    let options = Options { concurrency: Concurrency::FirstWrite, ..Options::default() };
    let operation = Op::Upsert(SetRequest { options, ..set("app||tx", "1") });
    store.transact(&[operation], &Metadata::new()).await.unwrap();
    assert_eq!(redis_cli(&server, "HGETALL app||tx"), "data\n1\nversion\n1");
}

#[tokio::test]
async fn keys_of_others_are_read_and_replaced() {
    let server = servers::redis(&[]);
    let store = store(&server, &[]).await;
    redis_cli(&server, "SET plain text");
    assert_eq!(text(&*store, "plain").await.as_deref(), Some("text"));
    store.set(&set("plain", "1")).await.unwrap();
    assert_eq!(redis_cli(&server, "HGETALL plain"), "data\n1\nversion\n1");
    redis_cli(&server, "HSET other x y");
    let request = GetRequest { key: "other".to_owned(), ..GetRequest::default() };
    let error = store.get(&request).await.err().expect("not one of ours");
    assert_eq!(error.message(), "required hash field 'data' or 'version' was not found");
}

#[tokio::test]
async fn a_ttl_is_set_kept_and_taken_off() {
    let server = servers::redis(&[]);
    let store = store(&server, &[("ttlInSeconds", "100")]).await;
    let with = |ttl: &str| SetRequest {
        metadata: Metadata::from([("ttlInSeconds".to_owned(), ttl.to_owned())]),
        ..set("k", "1")
    };
    store.set(&set("k", "1")).await.unwrap();
    assert_eq!(redis_cli(&server, "TTL k"), "100");
    store.set(&with("50")).await.unwrap();
    assert_eq!(redis_cli(&server, "TTL k"), "50");
    store.set(&with("-1")).await.unwrap();
    assert_eq!(redis_cli(&server, "TTL k"), "-1");
    let error = store.set(&with("soon")).await.unwrap_err();
    assert_eq!(
        error.message(),
        r#"failed to parse ttl from metadata: strconv.ParseInt: parsing "soon": invalid syntax"#
    );
}

#[tokio::test]
async fn an_etag_is_a_number_and_last_write_ignores_it() {
    let server = servers::redis(&[]);
    let store = store(&server, &[]).await;
    let request = SetRequest { etag: Some("bogus".to_owned()), ..set("k", "1") };
    let error = store.set(&request).await.unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::EtagInvalid);
    assert_eq!(error.message(), r#"invalid etag value: strconv.Atoi: parsing "bogus": invalid syntax"#);
    let options = Options { concurrency: Concurrency::LastWrite, ..Options::default() };
    store.set(&SetRequest { options, ..request }).await.unwrap();
    assert_eq!(text(&*store, "k").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn strong_consistency_waits_for_the_replicas() {
    let server = servers::redis(&[]);
    let port = server.port.to_string();
    let replica = servers::redis(&["--replicaof", "127.0.0.1", &port]);
    eventually("the replica is connected", || async {
        redis_cli(&server, "INFO replication").contains("connected_slaves:1")
            && redis_cli(&replica, "INFO replication").contains("master_link_status:up")
    })
    .await;
    let store = store(&server, &[]).await;
    let options = Options { consistency: Consistency::Strong, ..Options::default() };
    for number in 0..20 {
        let key = format!("k{number}");
        store.set(&SetRequest { options: options.clone(), ..set(&key, "1") }).await.unwrap();
        assert_eq!(redis_cli(&replica, &format!("HGET {key} data")), "1");
    }
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut server = servers::redis(&[]);
    let store = store(&server, &[("redisMinRetryInterval", "20ms"), ("readTimeout", "500ms")]).await;
    store.set(&set("k", "1")).await.unwrap();
    server.kill();
    let error = store.set(&set("k", "2")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Unavailable), "{error:?}");
    server.restart();
    eventually("the store works again", || async { store.set(&set("k", "3")).await.is_ok() }).await;
    assert_eq!(text(&*store, "k").await.as_deref(), Some("3"));
}

#[tokio::test]
async fn a_server_that_is_not_there_does_not_build() {
    let address = format!("127.0.0.1:{}", servers::free_port());
    let error = build_error("state.redis", "v1", &[("redisHost", &address)]).await;
    assert!(error.starts_with(&format!("redis store: error connecting to redis at {address}: ")), "{error}");
    let error = build_error("state.redis", "v1", &[("redisHost", &address), ("useEntraID", "true")]).await;
    assert!(error.starts_with("redis client configuration error: useEntraID is not supported"), "{error}");
}
