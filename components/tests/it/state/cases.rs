//! The cases; [`run`] is their list.

use std::collections::BTreeMap;

use bytes::Bytes;
use components::state::{
    Concurrency, Consistency, DeleteRequest, GetReply, GetRequest, Op, Options, QueryRequest, SetRequest, StateStore,
    Value,
};
use components::{Error, ErrorKind, Metadata, Result};
use futures::future::join_all;
use uuid::Uuid;

use crate::fixtures::eventually;

/// Runs every case that the store's features call for.
pub async fn run(store: &dyn StateStore) {
    run_below(store, Uuid::new_v4().to_string()).await;
}

/// As [`run`], with keys below `prefix`.
pub async fn run_below(store: &dyn StateStore, prefix: String) {
    let at = &Keys(store, prefix);
    at.0.ping().await.expect("ping");
    an_absent_key_reads_as_empty(at).await;
    values_come_back_as_they_were(at).await;
    odd_keys_are_keys(at).await;
    a_rewrite_replaces_the_value(at).await;
    deleting_removes_and_deleting_nothing_succeeds(at).await;
    words_that_are_no_options_are_refused(at).await;
    bulk_reads_answer_every_key(at).await;
    let features = store.features();
    if features.etag {
        a_write_changes_the_etag(at).await;
        a_stale_etag_conflicts(at).await;
        an_etag_for_an_absent_key_conflicts(at).await;
        an_empty_etag_is_none(at).await;
        first_write_creates_but_does_not_replace(at).await;
        one_of_many_writers_with_one_etag_wins(at).await;
    }
    if features.ttl {
        // Both wait for a second to pass.
        tokio::join!(a_value_ends_with_its_ttl(at), a_negative_ttl_lives_on(at));
        a_ttl_that_is_no_number_is_refused(at).await;
    }
    if features.transactional {
        a_transaction_applies_all_operations_in_order(at).await;
        an_empty_transaction_succeeds(at).await;
        if features.etag {
            a_failing_transaction_leaves_everything(at).await;
        }
    } else {
        unsupported(store.transact(&[at.upsert("t", "1")], &Metadata::new()).await);
    }
    if features.keys_like {
        keys_are_listed_by_pattern_and_page(at).await;
        an_empty_pattern_is_refused(at).await;
    } else {
        unsupported(store.keys_like("%", 0, None).await);
    }
    if features.delete_with_prefix {
        a_prefix_deletes_the_keys_below_it(at).await;
    } else {
        unsupported(store.delete_with_prefix(&at.1).await);
    }
    if !store.may_query() {
        let query = QueryRequest { query: serde_json::json!({"filter": {}}), metadata: Metadata::new() };
        unsupported(store.query(&query).await);
    }
}

fn unsupported<T>(result: Result<T>) {
    match result {
        Ok(_) => panic!("succeeded, though features() does not claim it"),
        Err(error) => assert_eq!(*error.kind(), ErrorKind::Unsupported, "{error}"),
    }
}

/// The store, and a prefix that keeps this run's keys apart.
struct Keys<'a>(&'a dyn StateStore, String);

impl Keys<'_> {
    fn key(&self, name: &str) -> String {
        format!("{}||{name}", self.1)
    }

    fn set_request(&self, name: &str, json: &str) -> SetRequest {
        SetRequest {
            key: self.key(name),
            value: Value::Json(Bytes::copy_from_slice(json.as_bytes())),
            etag: None,
            options: Options::default(),
            metadata: Metadata::new(),
        }
    }

    fn upsert(&self, name: &str, json: &str) -> Op {
        Op::Upsert(self.set_request(name, json))
    }

    fn delete_request(&self, name: &str) -> DeleteRequest {
        DeleteRequest { key: self.key(name), ..DeleteRequest::default() }
    }

    async fn set(&self, name: &str, json: &str) {
        self.0.set(&self.set_request(name, json)).await.expect("set");
    }

    async fn try_set_with(&self, name: &str, json: &str, etag: &str) -> Result<()> {
        let request = SetRequest { etag: Some(etag.to_owned()), ..self.set_request(name, json) };
        self.0.set(&request).await
    }

    async fn set_with_ttl(&self, name: &str, ttl: &str) -> Result<()> {
        let metadata = Metadata::from([("ttlInSeconds".to_owned(), ttl.to_owned())]);
        self.0.set(&SetRequest { metadata, ..self.set_request(name, "1") }).await
    }

    async fn get(&self, name: &str) -> GetReply {
        let request = GetRequest { key: self.key(name), ..GetRequest::default() };
        self.0.get(&request).await.expect("get")
    }

    async fn text(&self, name: &str) -> Option<String> {
        self.get(name).await.data.map(|data| String::from_utf8_lossy(&data).into_owned())
    }

    async fn etag(&self, name: &str) -> String {
        self.get(name).await.etag.expect("an etag")
    }
}

fn mismatch(result: Result<()>) -> Error {
    let error = result.expect_err("conflicts");
    assert_eq!(*error.kind(), ErrorKind::EtagMismatch, "{error}");
    assert!(error.message().starts_with("possible etag mismatch. error from state store"), "{error}");
    error
}

async fn an_absent_key_reads_as_empty(at: &Keys<'_>) {
    let reply = at.get("absent").await;
    assert!(reply.data.is_none() && reply.etag.is_none() && reply.metadata.is_empty());
}

async fn values_come_back_as_they_were(at: &Keys<'_>) {
    let megabyte = vec![0xfe; 1 << 20];
    let values = [
        Value::Json(Bytes::from_static(br#"{"b":1,"a":[null,"\u003c"]}"#)),
        Value::Json(Bytes::from_static("\"ключ 😀\"".as_bytes())),
        Value::Json(Bytes::from_static(b"12345678901234567890")),
        Value::Bytes(Bytes::from_static(b"\x00\xff\x80 not text \r\n")),
        Value::Bytes(Bytes::new()),
        Value::Bytes(Bytes::from(megabyte)),
    ];
    for (number, value) in values.into_iter().enumerate() {
        let name = format!("value-{number}");
        let request = SetRequest { value: value.clone(), ..at.set_request(&name, "") };
        at.0.set(&request).await.expect("set");
        let data = at.get(&name).await.data.unwrap_or_else(|| panic!("value {number} is absent"));
        assert_eq!(&data, value.bytes(), "value {number}");
    }
}

async fn odd_keys_are_keys(at: &Keys<'_>) {
    for name in ["with space", "ключ", "a/b?c#d&e=f%20", "quote'\"\\", "{hash}tag", "*[x]_%"] {
        at.set(name, "1").await;
        assert_eq!(at.text(name).await.as_deref(), Some("1"), "{name}");
        at.0.delete(&at.delete_request(name)).await.expect("delete");
        assert_eq!(at.text(name).await, None, "{name}");
    }
}

async fn a_rewrite_replaces_the_value(at: &Keys<'_>) {
    at.set("rewrite", "1").await;
    at.set("rewrite", r#"{"two":2}"#).await;
    assert_eq!(at.text("rewrite").await.as_deref(), Some(r#"{"two":2}"#));
    let request = SetRequest { value: Value::Bytes(Bytes::from_static(b"raw")), ..at.set_request("rewrite", "") };
    at.0.set(&request).await.expect("set");
    assert_eq!(at.text("rewrite").await.as_deref(), Some("raw"));
}

async fn deleting_removes_and_deleting_nothing_succeeds(at: &Keys<'_>) {
    at.set("gone", "1").await;
    at.0.delete(&at.delete_request("gone")).await.expect("delete");
    assert_eq!(at.text("gone").await, None);
    at.0.delete(&at.delete_request("gone")).await.expect("delete again");
}

async fn words_that_are_no_options_are_refused(at: &Keys<'_>) {
    let concurrency = Options { concurrency: Concurrency::Other("sometimes".to_owned()), ..Options::default() };
    let consistency = Options { consistency: Consistency::Other("weak".to_owned()), ..Options::default() };
    for (options, text) in [
        (concurrency, "unrecognized concurrency model 'sometimes'"),
        (consistency, "unrecognized consistency model 'weak'"),
    ] {
        let set = SetRequest { options: options.clone(), ..at.set_request("options", "1") };
        assert_eq!(at.0.set(&set).await.expect_err("refused").message(), text);
        let delete = DeleteRequest { options, ..at.delete_request("options") };
        assert_eq!(at.0.delete(&delete).await.expect_err("refused").message(), text);
    }
    assert_eq!(at.text("options").await, None);
}

async fn bulk_reads_answer_every_key(at: &Keys<'_>) {
    at.set("bulk-1", "1").await;
    at.set("bulk-2", "2").await;
    let request = |name: &str| GetRequest { key: at.key(name), ..GetRequest::default() };
    let requests = [request("bulk-2"), request("bulk-none"), request("bulk-1")];
    // A store without bulk reads of its own is read key by key.
    let Some(result) = at.0.bulk_get(&requests).await else { return };
    let found: BTreeMap<String, Option<String>> = result
        .expect("bulk get")
        .into_iter()
        .map(|item| {
            let data = item.result.expect("item").data;
            (item.key, data.map(|data| String::from_utf8_lossy(&data).into_owned()))
        })
        .collect();
    let expected = BTreeMap::from([
        (at.key("bulk-1"), Some("1".to_owned())),
        (at.key("bulk-2"), Some("2".to_owned())),
        (at.key("bulk-none"), None),
    ]);
    assert_eq!(found, expected);
}

async fn a_write_changes_the_etag(at: &Keys<'_>) {
    at.set("etag", "1").await;
    let first = at.etag("etag").await;
    assert_eq!(first, at.etag("etag").await);
    at.try_set_with("etag", "2", &first).await.expect("the current etag is accepted");
    let second = at.etag("etag").await;
    assert_ne!(first, second);
    let request = DeleteRequest { etag: Some(second), ..at.delete_request("etag") };
    at.0.delete(&request).await.expect("the current etag is accepted");
    assert_eq!(at.text("etag").await, None);
}

async fn a_stale_etag_conflicts(at: &Keys<'_>) {
    at.set("stale", "1").await;
    let stale = at.etag("stale").await;
    at.set("stale", "2").await;
    mismatch(at.try_set_with("stale", "3", &stale).await);
    let request = DeleteRequest { etag: Some(stale), ..at.delete_request("stale") };
    mismatch(at.0.delete(&request).await);
    assert_eq!(at.text("stale").await.as_deref(), Some("2"));
}

async fn an_etag_for_an_absent_key_conflicts(at: &Keys<'_>) {
    at.set("was", "1").await;
    let etag = at.etag("was").await;
    at.0.delete(&at.delete_request("was")).await.expect("delete");
    // Redis takes any ETag for an absent key, as daprd's store does; whoever refuses must say why.
    if let Err(error) = at.try_set_with("was", "2", &etag).await {
        assert_eq!(*error.kind(), ErrorKind::EtagMismatch, "{error}");
        assert_eq!(at.text("was").await, None);
    }
}

async fn an_empty_etag_is_none(at: &Keys<'_>) {
    at.set("empty-etag", "1").await;
    at.try_set_with("empty-etag", "2", "").await.expect("no comparison");
    assert_eq!(at.text("empty-etag").await.as_deref(), Some("2"));
}

async fn first_write_creates_but_does_not_replace(at: &Keys<'_>) {
    let options = Options { concurrency: Concurrency::FirstWrite, ..Options::default() };
    let first = SetRequest { options: options.clone(), ..at.set_request("first", "1") };
    at.0.set(&first).await.expect("creates");
    let second = SetRequest { options, ..at.set_request("first", "2") };
    at.0.set(&second).await.expect_err("does not replace");
    assert_eq!(at.text("first").await.as_deref(), Some("1"));
    let etag = at.etag("first").await;
    at.0.set(&SetRequest { etag: Some(etag), ..second }).await.expect("replaces with the etag");
    assert_eq!(at.text("first").await.as_deref(), Some("2"));
}

async fn one_of_many_writers_with_one_etag_wins(at: &Keys<'_>) {
    at.set("race", "0").await;
    let etag = at.etag("race").await;
    let writers = (0..8).map(|writer| {
        let (json, etag) = (writer.to_string(), etag.clone());
        async move { at.try_set_with("race", &json, &etag).await.is_ok() }
    });
    let won = join_all(writers).await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
}

async fn a_value_ends_with_its_ttl(at: &Keys<'_>) {
    // Stores that count whole seconds may end a value up to a second early.
    at.set_with_ttl("ttl", "2").await.expect("set");
    let reply = at.get("ttl").await;
    assert!(reply.data.is_some());
    if let Some(expires) = reply.metadata.get("ttlExpireTime") {
        assert!(expires.ends_with('Z') && expires.len() == "2000-01-01T00:00:00Z".len(), "{expires}");
    }
    eventually("the value ends", || async { at.text("ttl").await.is_none() }).await;
}

async fn a_negative_ttl_lives_on(at: &Keys<'_>) {
    at.set_with_ttl("ttl-off", "1").await.expect("set");
    at.set_with_ttl("ttl-off", "-1").await.expect("set");
    assert!(at.get("ttl-off").await.metadata.is_empty());
    at.set_with_ttl("ttl-witness", "1").await.expect("set");
    eventually("the witness ends", || async { at.text("ttl-witness").await.is_none() }).await;
    assert!(at.text("ttl-off").await.is_some());
}

async fn a_ttl_that_is_no_number_is_refused(at: &Keys<'_>) {
    let error = at.set_with_ttl("ttl-bad", "soon").await.expect_err("refused");
    assert!(error.message().contains(r#"parsing "soon": invalid syntax"#), "{error}");
    assert_eq!(at.text("ttl-bad").await, None);
}

async fn a_transaction_applies_all_operations_in_order(at: &Keys<'_>) {
    at.set("tx-old", "0").await;
    let operations = [
        at.upsert("tx-1", "1"),
        at.upsert("tx-1", "2"),
        Op::Delete(at.delete_request("tx-old")),
        at.upsert("tx-2", "[]"),
        Op::Delete(at.delete_request("tx-never")),
    ];
    at.0.transact(&operations, &Metadata::new()).await.expect("transact");
    assert_eq!(at.text("tx-1").await.as_deref(), Some("2"));
    assert_eq!(at.text("tx-2").await.as_deref(), Some("[]"));
    assert_eq!(at.text("tx-old").await, None);
}

async fn an_empty_transaction_succeeds(at: &Keys<'_>) {
    at.0.transact(&[], &Metadata::new()).await.expect("nothing to do");
}

async fn a_failing_transaction_leaves_everything(at: &Keys<'_>) {
    at.set("all-1", "1").await;
    at.set("all-2", "1").await;
    let stale = at.etag("all-2").await;
    at.set("all-2", "2").await;
    let operations = [
        at.upsert("all-1", "9"),
        at.upsert("all-3", "9"),
        Op::Upsert(SetRequest { etag: Some(stale), ..at.set_request("all-2", "9") }),
    ];
    at.0.transact(&operations, &Metadata::new()).await.expect_err("conflicts");
    assert_eq!(at.text("all-1").await.as_deref(), Some("1"));
    assert_eq!(at.text("all-2").await.as_deref(), Some("2"));
    assert_eq!(at.text("all-3").await, None);
}

async fn keys_are_listed_by_pattern_and_page(at: &Keys<'_>) {
    for name in ["like||a1", "like||a2", "like||b1", "like||A1", "like||a%", "like||a10"] {
        at.set(name, "1").await;
    }
    let list = |pattern: &'static str, page: usize| async move {
        let pattern = at.key(pattern);
        let (mut keys, mut continuation) = (Vec::new(), None);
        loop {
            let page = at.0.keys_like(&pattern, page, continuation.as_deref()).await.expect("keys");
            keys.extend(page.keys.into_iter().map(|key| key.rsplit("||").next().unwrap_or_default().to_owned()));
            continuation = page.continuation;
            if continuation.is_none() {
                break;
            }
        }
        keys.sort();
        keys
    };
    assert_eq!(list("like||a%", 0).await, ["a%", "a1", "a10", "a2"]);
    assert_eq!(list("like||a_", 0).await, ["a%", "a1", "a2"]);
    assert_eq!(list(r"like||a\%", 0).await, ["a%"]);
    for page in [1, 2, 3, 4, 5, 100] {
        assert_eq!(list("like||%", page).await, ["A1", "a%", "a1", "a10", "a2", "b1"], "pages of {page}");
    }
    assert!(list("like||nothing%", 2).await.is_empty());
}

async fn an_empty_pattern_is_refused(at: &Keys<'_>) {
    let error = at.0.keys_like("", 0, None).await.expect_err("refused");
    assert_eq!(error.message(), "keys like pattern cannot be empty");
}

async fn a_prefix_deletes_the_keys_below_it(at: &Keys<'_>) {
    for name in ["below||1", "below||2", "below||3||deep", "below-not"] {
        at.set(name, "1").await;
    }
    let deleted = at.0.delete_with_prefix(&at.key("below")).await.expect("delete");
    assert_eq!(deleted, 2);
    assert_eq!(at.text("below||1").await, None);
    assert_eq!(at.text("below||3||deep").await.as_deref(), Some("1"));
    assert_eq!(at.text("below-not").await.as_deref(), Some("1"));
    at.0.delete_with_prefix("").await.expect_err("a prefix is needed");
}
