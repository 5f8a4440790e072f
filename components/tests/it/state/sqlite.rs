//! What only `state.sqlite` shows: its file.

use std::process::Command;

use bytes::Bytes;
use components::Metadata;
use components::state::{GetRequest, Options, SetRequest, StateStore, Value};

use crate::fixtures::{self, build_error, eventually};
use crate::servers::folder;

fn set(key: &str, value: Value, ttl: Option<&str>) -> SetRequest {
    let metadata = ttl.map(|ttl| ("ttlInSeconds".to_owned(), ttl.to_owned()));
    SetRequest {
        key: key.to_owned(),
        value,
        etag: None,
        options: Options::default(),
        metadata: metadata.into_iter().collect::<Metadata>(),
    }
}

fn sqlite3(path: &str, statement: &str) -> String {
    let output =
        Command::new("sqlite3").args(["-cmd", ".timeout 5000", path, statement]).output().expect("the sqlite3 package");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

async fn text(store: &dyn StateStore, key: &str) -> Option<String> {
    let request = GetRequest { key: key.to_owned(), ..GetRequest::default() };
    let data = store.get(&request).await.expect("get").data;
    data.map(|data| String::from_utf8_lossy(&data).into_owned())
}

#[tokio::test]
async fn rows_are_what_daprd_writes() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let path = path.to_str().unwrap();
    let store = fixtures::state("state.sqlite", "v1", &[("connectionString", &format!("file:{path}"))]).await;
    store.set(&set("json", Value::Json(Bytes::from_static(b"{\"a\":1}")), None)).await.unwrap();
    store.set(&set("bytes", Value::Bytes(Bytes::from_static(b"raw")), Some("100"))).await.unwrap();
    store.close().await;

    let rows = sqlite3(
        path,
        "SELECT key, value, typeof(value), is_binary, length(etag), typeof(update_time), \
         CAST(round(unixepoch(expiration_time) - unixepoch(update_time)) AS INT) FROM state ORDER BY key",
    );
    assert_eq!(rows, "bytes|cmF3|text|1|36|text|100\njson|{\"a\":1}|text|0|36|text|");
    assert_eq!(sqlite3(path, "SELECT key, value FROM metadata"), "migrations|1");
    assert_eq!(sqlite3(path, "PRAGMA journal_mode"), "wal");
    let columns = sqlite3(
        path,
        "SELECT group_concat(name || ' ' || type || ' ' || \"notnull\", ', ') FROM pragma_table_info('state')",
    );
    assert_eq!(
        columns,
        "key TEXT 1, value TEXT 1, is_binary BOOLEAN 1, etag TEXT 1, expiration_time TIMESTAMP 0, update_time TIMESTAMP 1"
    );
}

#[tokio::test]
async fn a_file_made_by_others_is_read_and_kept() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let path = path.to_str().unwrap();
    sqlite3(
        path,
        "CREATE TABLE metadata (key text NOT NULL PRIMARY KEY, value text NOT NULL);
         INSERT INTO metadata VALUES ('migrations', '1'), ('mine', 'x');
         CREATE TABLE things (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL, is_binary BOOLEAN NOT NULL,
            etag TEXT NOT NULL, expiration_time TIMESTAMP DEFAULT NULL,
            update_time TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
         INSERT INTO things VALUES ('a', '\"x\"', 0, 'e', NULL, CURRENT_TIMESTAMP),
            ('b', 'cmF3', 1, 'e', '2999-01-01 00:00:00', CURRENT_TIMESTAMP),
            ('old', '1', 0, 'e', '2001-01-01 00:00:00', CURRENT_TIMESTAMP),
            ('blob', x'00ff', 0, 'e', NULL, CURRENT_TIMESTAMP);",
    );
    let store = fixtures::state("state.sqlite", "v1", &[("connectionString", path), ("tableName", "things")]).await;
    assert_eq!(text(&*store, "a").await.as_deref(), Some("\"x\""));
    assert_eq!(text(&*store, "b").await.as_deref(), Some("raw"));
    assert_eq!(text(&*store, "old").await, None);
    let blob = store.get(&GetRequest { key: "blob".to_owned(), ..GetRequest::default() }).await.unwrap();
    assert_eq!(blob.data.as_deref(), Some(&b"\x00\xff"[..]));
    let reply = store.get(&GetRequest { key: "b".to_owned(), ..GetRequest::default() }).await.unwrap();
    assert_eq!(reply.metadata["ttlExpireTime"], "2999-01-01T00:00:00Z");
    assert_eq!(sqlite3(path, "SELECT value FROM metadata WHERE key = 'mine'"), "x");
}

#[tokio::test]
async fn two_stores_on_one_file_take_turns() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let metadata = [("connectionString", path.to_str().unwrap())];
    let (first, second) = tokio::join!(
        fixtures::state("state.sqlite", "v1", &metadata),
        fixtures::state("state.sqlite", "v1", &metadata)
    );
    let write = |store: std::sync::Arc<dyn StateStore>, name: &'static str| async move {
        for number in 0..100 {
            let value = Value::Json(Bytes::from(number.to_string()));
            store.set(&set(&format!("{name}{number}"), value, None)).await.expect("set");
        }
    };
    tokio::join!(write(first.clone(), "a"), write(second.clone(), "b"), write(first.clone(), "c"));
    let page = second.keys_like("%", 0, None).await.unwrap();
    assert_eq!(page.keys.len(), 300);
}

#[tokio::test]
async fn ended_rows_are_removed_at_each_interval() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let path = path.to_str().unwrap();
    let metadata = [("connectionString", path), ("cleanupIntervalInSeconds", "1")];
    let store = fixtures::state("state.sqlite", "v1", &metadata).await;
    store.set(&set("ends", Value::Json(Bytes::from_static(b"1")), Some("1"))).await.unwrap();
    store.set(&set("stays", Value::Json(Bytes::from_static(b"1")), None)).await.unwrap();
    eventually("the row is removed", || async { sqlite3(path, "SELECT group_concat(key) FROM state") == "stays" })
        .await;
    assert_ne!(sqlite3(path, "SELECT value FROM metadata WHERE key = 'last-cleanup'"), "");
    store.close().await;
}

#[tokio::test]
async fn wrong_metadata_does_not_build() {
    assert_eq!(build_error("state.sqlite", "v1", &[]).await, "missing connection string");
    let metadata = [("connectionString", ":memory:"), ("metadataTableName", "a-b")];
    assert_eq!(build_error("state.sqlite", "v1", &metadata).await, "invalid identifier: a-b");
    let folder = folder();
    let nowhere = folder.path().join("none/state.db");
    let error = build_error("state.sqlite", "v1", &[("connectionString", nowhere.to_str().unwrap())]).await;
    assert_eq!(error, "failed to ping: unable to open database file (14)");
}
