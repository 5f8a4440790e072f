//! `bindings.localstorage`: files below a folder of this machine.

mod root;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::json;
use uuid::Uuid;

use super::{InvokeReply, InvokeRequest, OutputBinding};
use crate::component::{Built, InitContext, Spec};
use crate::{Error, Result, go};

pub const PROPERTIES: &[&str] = &["rootPath"];

const OPERATIONS: [&str; 4] = ["create", "get", "list", "delete"];

/// Checks the folder, and makes it.
pub async fn build(spec: Spec, _context: InitContext) -> Result<Built> {
    let text = spec.properties.get(&["rootPath"]).unwrap_or_default().to_owned();
    let root = blocking(move || {
        let root = root::check(&text).map_err(|error| error.context("failed to parse metadata"))?;
        std::fs::create_dir_all(&root).map_err(|error| {
            let error = go::path_error("mkdir", &root, &error);
            Error::config(format!("unable to create directory specified by 'rootPath' {}: {error}", root.display()))
        })?;
        Ok(root)
    })
    .await?;
    Ok(Built::Binding { input: None, output: Some(Arc::new(LocalStorage { root })) })
}

struct LocalStorage {
    /// Absolute, without symbolic links.
    root: PathBuf,
}

#[async_trait]
impl OutputBinding for LocalStorage {
    fn operations(&self) -> Vec<String> {
        OPERATIONS.map(str::to_owned).to_vec()
    }

    async fn invoke(&self, request: InvokeRequest) -> Result<Option<InvokeReply>> {
        let root = self.root.clone();
        blocking(move || invoke(&root, request)).await
    }
}

fn invoke(root: &Path, request: InvokeRequest) -> Result<Option<InvokeReply>> {
    let name = request.metadata.get("fileName").filter(|name| !name.is_empty()).cloned();
    let name = match request.operation.as_str() {
        "create" => name.unwrap_or_else(|| Uuid::new_v4().to_string()),
        _ => name.unwrap_or_default(),
    };
    let path = root::join(root, &name)
        .map_err(|error| Error::other(format!("error getting absolute path for file {name}: {error}")))?;
    let reply = |data: Bytes| Ok(Some(InvokeReply { data, ..InvokeReply::default() }));
    match request.operation.as_str() {
        "create" => {
            create(&path, &content(request.data))?;
            let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
            let relative = if relative.is_empty() { "." } else { &relative };
            reply(Bytes::from(json!({ "fileName": relative }).to_string()))
        }
        "get" => reply(get(&path)?),
        "list" => reply(list(&path)?),
        "delete" => {
            std::fs::remove_file(&path)
                // Go removes empty folders by the same call.
                .or_else(|error| if path.is_dir() { std::fs::remove_dir(&path) } else { Err(error) })
                .map_err(|error| failed("error deleting file", &path, "remove", &error))?;
            Ok(None)
        }
        operation => Err(Error::other(format!("unsupported operation {operation}"))),
    }
}

/// A JSON text is taken out of its quotes, and what then is Base64 is decoded: as in daprd, for callers over HTTP.
fn content(data: Bytes) -> Bytes {
    let data = match serde_json::from_slice::<String>(&data) {
        Ok(text) => Bytes::from(text),
        Err(_) => data,
    };
    let without_breaks: Vec<u8> = data.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    BASE64.decode(without_breaks).map_or(data, Bytes::from)
}

fn create(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed("error creating directory", folder, "mkdir", &error))?;
    }
    std::fs::write(path, content).map_err(|error| failed("error creating file", path, "open", &error))
}

fn get(path: &Path) -> Result<Bytes> {
    match std::fs::read(path) {
        Ok(content) => Ok(content.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Error::other(format!("file not found: {}", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            Err(failed("error reading file", path, "read", &error))
        }
        Err(error) => Err(failed("error opening path", path, "open", &error)),
    }
}

/// The paths of all files below a folder, sorted, as JSON; `null` when there are none, as Go writes it.
fn list(path: &Path) -> Result<Bytes> {
    let facts =
        std::fs::metadata(path).map_err(|error| failed("error getting stats for path", path, "stat", &error))?;
    if !facts.is_dir() {
        return Err(Error::other(format!(
            "unable to list files as the file specified is not a directory: {}",
            path.display()
        )));
    }
    let mut files = Vec::new();
    walk(path, &mut files).map_err(|error| failed("error listing files in the directory", path, "open", &error))?;
    let list = if files.is_empty() { json!(null) } else { json!(files) };
    Ok(Bytes::from(list.to_string()))
}

fn walk(folder: &Path, files: &mut Vec<String>) -> io::Result<()> {
    let mut entries = std::fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        // Symbolic links are listed, not followed.
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path().to_string_lossy().into_owned());
        }
    }
    Ok(())
}

fn failed(what: &str, path: &Path, operation: &str, error: &io::Error) -> Error {
    Error::other(format!("{what} {}: {}", path.display(), go::path_error(operation, path, error)))
}

/// Files block; they must not block the tasks of others.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::other(error.to_string()))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Metadata;

    fn run(root: &Path, operation: &str, name: &str, data: &'static [u8]) -> Result<Option<String>> {
        let metadata = Metadata::from([("fileName".to_owned(), name.to_owned())]);
        let request = InvokeRequest { operation: operation.to_owned(), data: Bytes::from_static(data), metadata };
        Ok(invoke(root, request)?.map(|reply| String::from_utf8_lossy(&reply.data).into_owned()))
    }

    #[test]
    fn files_are_made_read_listed_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!(run(&root, "list", "", b"").unwrap().unwrap(), "null");
        assert_eq!(run(&root, "create", "a/b.txt", b"hello!").unwrap().unwrap(), r#"{"fileName":"a/b.txt"}"#);
        assert_eq!(run(&root, "get", "a/b.txt", b"").unwrap().unwrap(), "hello!");
        let path = root.join("a/b.txt");
        assert_eq!(run(&root, "list", "", b"").unwrap().unwrap(), format!("[\"{}\"]", path.display()));
        assert_eq!(run(&root, "delete", "a/b.txt", b"").unwrap(), None);
        let gone = run(&root, "get", "a/b.txt", b"").unwrap_err();
        assert_eq!(gone.message(), format!("file not found: {}", path.display()));
        let gone = run(&root, "delete", "a/b.txt", b"").unwrap_err();
        assert_eq!(
            gone.message(),
            format!("error deleting file {0}: remove {0}: no such file or directory", path.display())
        );
        assert!(run(&root, "create", "", b"x").unwrap().unwrap().len() > 36);
        assert_eq!(run(&root, "copy", "", b"").unwrap_err().message(), "unsupported operation copy");
    }

    #[test]
    fn nothing_outside_of_the_root_is_reached() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.with_file_name("secret"), "s").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        for name in ["../secret", "/../../secret", "link"] {
            let error = run(&root, "get", name, b"").unwrap_err();
            assert_eq!(error.message(), format!("file not found: {}", root.join("secret").display()), "{name}");
        }
    }

    #[test]
    fn quoted_and_encoded_content_is_decoded() {
        assert_eq!(content(Bytes::from_static(b"\"hi there\"")).as_ref(), b"hi there");
        assert_eq!(content(Bytes::from_static(b"\"aGk=\"")).as_ref(), b"hi");
        assert_eq!(content(Bytes::from_static(b"{\"a\": 1}")).as_ref(), b"{\"a\": 1}");
        assert_eq!(content(Bytes::new()).as_ref(), b"");
    }
}
