//! `nameresolution.sqlite`.

use std::process::Command;

use super::{app_id, resolve, run};
use crate::fixtures::{build_error, eventually, resolver};
use crate::servers::folder;

#[tokio::test]
async fn a_shared_file() {
    let folder = folder();
    let path = folder.path().join("hosts.db");
    let path = path.to_str().unwrap();
    let metadata = [("connectionString", path), ("updateInterval", "2s")];
    run(async |app_id, port| resolver("nameresolution.sqlite", &app_id, port, &metadata).await).await;
}

#[tokio::test]
async fn rows_are_daprds_and_have_to_be_renewed() {
    let folder = folder();
    let path = folder.path().join("hosts.db");
    let path = path.to_str().unwrap();
    let sqlite3 = |statement: &str| {
        let output = Command::new("sqlite3").args(["-cmd", ".timeout 5000", path, statement]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    let metadata = [("connectionString", path), ("updateInterval", "2s")];
    let app = app_id();
    let resolver = resolver("nameresolution.sqlite", &app, 40021, &metadata).await;
    let row = sqlite3("SELECT length(registration_id), address, app_id, namespace, typeof(last_update) FROM hosts");
    assert_eq!(row, format!("36|127.0.0.1:40021|{app}||integer"));
    assert_eq!(sqlite3("SELECT value FROM metadata WHERE key = 'nr-migrations'"), "1");

    sqlite3("INSERT INTO hosts VALUES ('x', '10.0.0.1:1', 'daprd', '', unixepoch(CURRENT_TIMESTAMP))");
    sqlite3("INSERT INTO hosts VALUES ('y', '10.0.0.1:2', 'dead', '', unixepoch(CURRENT_TIMESTAMP) - 10)");
    assert_eq!(resolve(&*resolver, "daprd").await, Some(vec!["10.0.0.1:1".to_owned()]));
    assert_eq!(resolve(&*resolver, "dead").await, None);
    // Found dead, and then renewed by its owner.
    resolver.forget("daprd", "10.0.0.1:1");
    assert_eq!(resolve(&*resolver, "daprd").await, None);
    sqlite3("UPDATE hosts SET last_update = unixepoch(CURRENT_TIMESTAMP) + 1 WHERE registration_id = 'x'");
    assert!(resolve(&*resolver, "daprd").await.is_some());
    // A row that was lost is made again.
    sqlite3("DELETE FROM hosts");
    eventually("it registers again", || async { resolve(&*resolver, &app).await.is_some() }).await;
    resolver.close().await;
    assert_eq!(sqlite3("SELECT count(*) FROM hosts"), "0");
}

#[tokio::test]
async fn wrong_metadata_does_not_build() {
    assert_eq!(build_error("nameresolution.sqlite", "v1", &[]).await, "missing connection string");
}
