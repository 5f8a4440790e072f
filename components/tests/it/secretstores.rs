//! The behaviour of a secret store.

use components::Metadata;
use components::secretstores::SecretStore;

use crate::fixtures::{build_error, secret_store};
use crate::servers::folder;

/// `name` is a secret of the store with one value, or several where the store claims so; `nowhere` is none.
async fn run(store: &dyn SecretStore, name: &str, several: Option<&str>) {
    let none = Metadata::new();
    store.ping().await.expect("ping");
    let secret = store.get(name, &none).await.expect("get");
    assert_eq!(secret.keys().collect::<Vec<_>>(), [name]);
    let all = store.bulk_get(&none).await.expect("bulk get");
    assert_eq!(all[name], secret);
    if let Some(several) = several {
        assert!(store.features().multiple_key_values_per_secret);
        let secret = store.get(several, &none).await.expect("get");
        assert!(secret.len() > 1);
        assert_eq!(all[several], secret);
    } else {
        assert!(!store.features().multiple_key_values_per_secret);
        assert!(all.iter().all(|(name, secret)| secret.len() == 1 && secret.contains_key(name)));
    }
    store.close().await;
}

#[tokio::test]
async fn local_env() {
    run(&*secret_store("secretstores.local.env", &[]).await, "PATH", None).await;
}

#[tokio::test]
async fn local_file() {
    let folder = folder();
    let path = folder.path().join("secrets.json");
    std::fs::write(&path, r#"{"one": "1", "db": {"user": "u", "pass": "p"}}"#).unwrap();
    let path = path.to_str().unwrap();
    run(&*secret_store("secretstores.local.file", &[("secretsFile", path)]).await, "one", None).await;
    let metadata = [("SECRETSFILE", path), ("multiValued", "yes")];
    run(&*secret_store("secretstores.local.file", &metadata).await, "one", Some("db")).await;
    let metadata = [("secretsFile", path), ("nestedSeparator", ".")];
    let store = secret_store("secretstores.local.file", &metadata).await;
    assert_eq!(store.get("db.user", &Metadata::new()).await.unwrap()["db.user"], "u");
    assert_eq!(store.get("nope", &Metadata::new()).await.unwrap_err().message(), "secret nope not found");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_does_not_build() {
    let folder = folder();
    let name = "secretstores.local.file";
    assert_eq!(build_error(name, "v1", &[]).await, "missing local secrets file in metadata");
    let path = folder.path().join("none.json");
    let path = path.to_str().unwrap();
    let expected = format!("open {path}: no such file or directory");
    assert_eq!(build_error(name, "v1", &[("secretsFile", path)]).await, expected);
    std::fs::write(path, r#""a secret""#).unwrap();
    let expected = format!("secrets file {path} is not a JSON object");
    assert_eq!(build_error(name, "v1", &[("secretsFile", path)]).await, expected);
}
