//! `crypto.dapr.localstorage`: keys in the files of a folder, read each time they are used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;

use super::SubtleCrypto;
use crate::component::{Built, InitContext, Spec};
use crate::{Error, Result, go};

pub const PROPERTIES: &[&str] = &["path"];

/// Checks the folder.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let text = spec.properties.get(&["path"]).unwrap_or_default();
    let folder = check(text).await.map_err(|error| error.context("failed to load metadata"))?;
    Ok(Built::Crypto(Arc::new(LocalStorage { folder })))
}

async fn check(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        return Err(Error::config("metadata property 'path' is required"));
    }
    let folder = PathBuf::from(text);
    let facts = tokio::fs::metadata(&folder).await.map_err(|error| {
        Error::config(format!("could not stat path '{text}': {}", go::path_error("stat", &folder, &error)))
    })?;
    if !facts.is_dir() {
        return Err(Error::config(format!("path '{text}' is not a directory")));
    }
    Ok(folder)
}

struct LocalStorage {
    folder: PathBuf,
}

#[async_trait]
impl SubtleCrypto for LocalStorage {
    async fn has_key(&self, key: &str) -> Result<bool> {
        // Also inside of a name, as in daprd.
        if key.contains("..") {
            return Err(Error::other("invalid key path: cannot contain '..'"));
        }
        let path = self.folder.join(key.trim_start_matches('/'));
        match tokio::fs::File::open(&path).await {
            Ok(file) => Ok(file.metadata().await.is_ok_and(|facts| facts.is_file())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::other(format!("failed to load key '{key}': {}", go::open_error(&path, &error)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_are_files_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key.pem"), "x").unwrap();
        let crypto = LocalStorage { folder: check(folder.path().to_str().unwrap()).await.unwrap() };
        assert!(crypto.has_key("key.pem").await.unwrap());
        assert!(!crypto.has_key("other").await.unwrap());
        let error = crypto.has_key("../key.pem").await.unwrap_err();
        assert_eq!(error.message(), "invalid key path: cannot contain '..'");
    }

    #[tokio::test]
    async fn a_folder_is_needed() {
        assert_eq!(check("").await.unwrap_err().message(), "metadata property 'path' is required");
        assert_eq!(
            check("/none").await.unwrap_err().message(),
            "could not stat path '/none': stat /none: no such file or directory"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = file.path().to_str().unwrap();
        assert_eq!(check(text).await.unwrap_err().message(), format!("path '{text}' is not a directory"));
    }
}
