//! The behaviour of a state store.

pub mod cases;
mod etcd;
mod redis;
mod sqlite;

use crate::fixtures;
use crate::servers::folder;

#[tokio::test]
async fn in_memory() {
    cases::run(&*fixtures::state("state.in-memory", "v1", &[]).await).await;
}

#[tokio::test]
async fn sqlite_file() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let store = fixtures::state("state.sqlite", "v1", &[("connectionString", path.to_str().unwrap())]).await;
    cases::run(&*store).await;
    store.close().await;
}

#[tokio::test]
async fn sqlite_in_memory() {
    let store = fixtures::state("state.sqlite3", "v1", &[("url", ":memory:")]).await;
    cases::run(&*store).await;
}

#[tokio::test]
async fn sqlite_rollback_journal() {
    let folder = folder();
    let path = folder.path().join("state.db");
    let metadata = [("connectionString", path.to_str().unwrap()), ("disableWAL", "true"), ("tableName", "other")];
    let store = fixtures::state("state.sqlite", "v1", &metadata).await;
    cases::run(&*store).await;
    store.close().await;
}
