//! Modules that were brought to the gateway: files named by their SHA-256, which go when no function has them any more.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, io};

use aws_lc_rs::digest::{Context, SHA256};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use super::{Functions, SCOPE};
use crate::body::Body;

/// Bytes of a module.
const LIMIT: u64 = 64 << 20;

/// How long a module that was brought waits for its function.
const WAIT: Duration = Duration::from_secs(600);

/// The folder of modules. Cheap to clone.
#[derive(Clone)]
pub struct Modules(Arc<Inner>);

struct Inner {
    /// Beside the installed functions; `None`: a temporary folder, which ends with the process.
    folder: Option<PathBuf>,
    temporary: OnceLock<Temporary>,
    /// Those that were brought and have no function yet, by digest, once for each time.
    waiting: Mutex<Vec<(String, Instant)>>,
}

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A file that is being written; without [`Part::keep`] it goes again.
struct Part(PathBuf);

impl Part {
    fn keep(&self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Why a module was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("the module has more than {LIMIT} bytes")]
    TooLong,
    #[error("the module was not received: {0}")]
    Received(String),
    #[error("the module cannot be kept in {0}: --functions-state names a folder for what is installed: {1}")]
    Kept(PathBuf, io::Error),
}

/// A module that is here.
pub struct Brought {
    pub path: PathBuf,
    /// In hexadecimal.
    pub sha256: String,
}

impl Modules {
    /// Below `state`, the folder of installed functions.
    pub fn new(state: Option<&Path>) -> Self {
        let folder = state.map(|state| std::path::absolute(state).unwrap_or_else(|_| state.to_owned()).join("modules"));
        Self(Arc::new(Inner { folder, temporary: OnceLock::new(), waiting: Mutex::default() }))
    }

    fn folder(&self) -> Result<PathBuf, Refusal> {
        let made = |folder: &Path, is_recursive: bool| {
            let made = fs::DirBuilder::new().recursive(is_recursive).mode(0o700).create(folder);
            made.map_err(|error| Refusal::Kept(folder.to_owned(), error))
        };
        if let Some(folder) = &self.0.folder {
            return made(folder, true).map(|()| folder.clone());
        }
        if let Some(Temporary(folder)) = self.0.temporary.get() {
            return Ok(folder.clone());
        }
        // Made here and now, for this user alone: nobody else can have put anything into it.
        let folder = std::env::temp_dir().join(format!("ottavo-modules-{}", uuid::Uuid::new_v4()));
        made(&folder, false)?;
        Ok(self.0.temporary.get_or_init(|| Temporary(folder)).0.clone())
    }

    /// Takes a module in.
    ///
    /// # Errors
    /// It is too long, breaks off, or cannot be written.
    pub async fn bring(&self, mut body: Body) -> Result<Brought, Refusal> {
        let folder = self.folder()?;
        let failed = |error| Refusal::Kept(folder.clone(), error);
        let part = Part(folder.join(format!("{}.part", uuid::Uuid::new_v4())));
        let mut file = tokio::fs::File::create_new(&part.0).await.map_err(failed)?;
        let (mut digest, mut length) = (Context::new(&SHA256), 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::Received(error.to_string()))?;
            let Ok(data) = frame.into_data() else { continue };
            length += data.len() as u64;
            if length > LIMIT {
                return Err(Refusal::TooLong);
            }
            digest.update(&data);
            file.write_all(&data).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        let sha256 = hex::encode(digest.finish());
        let path = folder.join(format!("{sha256}.wasm"));
        // From here on nobody sweeps it away.
        self.waiting().push((sha256.clone(), Instant::now()));
        part.keep(&path).map_err(failed)?;
        Ok(Brought { path, sha256 })
    }

    /// A function has taken its module, or was refused: the module need not wait for it any more.
    pub fn settle(&self, module: Option<&Path>) {
        let Some(digest) = module.and_then(Path::file_stem).and_then(|name| name.to_str()) else { return };
        let mut waiting = self.waiting();
        if let Some(at) = waiting.iter().position(|(waits, _)| waits == digest) {
            waiting.swap_remove(at);
        }
    }

    /// Removes modules that no function has, and that wait for none.
    pub fn sweep(&self, functions: &Functions) {
        let temporary = self.0.temporary.get().map(|Temporary(folder)| folder);
        let Some(folder) = self.0.folder.as_ref().or(temporary) else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        let table = functions.table();
        let mut waiting = self.waiting();
        waiting.retain(|(_, since)| since.elapsed() < WAIT);
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_used = table.slots().any(|slot| slot.manifest().module_file() == Some(&path));
            let digest = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            let is_module = path.extension().is_some_and(|extension| extension == "wasm");
            if is_module && !is_used && !waiting.iter().any(|(waits, _)| waits == digest) {
                match fs::remove_file(&path) {
                    Ok(()) => tracing::debug!(target: SCOPE, "No function has this module any more: {digest}"),
                    Err(error) => tracing::warn!(target: SCOPE, "{}: {error}", path.display()),
                }
            }
        }
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<(String, Instant)>> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_module_is_named_by_its_digest_and_leaves_nothing_behind_when_it_is_refused() {
        let state = tempfile::tempdir().unwrap();
        let modules = Modules::new(Some(state.path()));
        let brought = modules.bring(Body::full("abc")).await.unwrap();
        assert_eq!(brought.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(fs::read(&brought.path).unwrap(), b"abc");
        let broken = http_body_util::StreamBody::new(futures::stream::iter([
            Ok(http_body::Frame::data(bytes::Bytes::from_static(b"half"))),
            Err(io::Error::other("gone")),
        ]));
        let error = modules.bring(Body::stream(broken)).await.err().unwrap().to_string();
        assert_eq!(error, "the module was not received: gone");
        let long = http_body_util::StreamBody::new(futures::stream::iter(
            (0..65).map(|_| Ok::<_, io::Error>(http_body::Frame::data(bytes::Bytes::from(vec![0; 1 << 20])))),
        ));
        assert!(matches!(modules.bring(Body::stream(long)).await, Err(Refusal::TooLong)));
        assert_eq!(fs::read_dir(state.path().join("modules")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn without_a_folder_of_its_own_it_is_temporary() {
        let modules = Modules::new(None);
        let (first, second) =
            (modules.bring(Body::full("a")).await.unwrap(), modules.bring(Body::full("b")).await.unwrap());
        assert_eq!(first.path.parent(), second.path.parent());
        drop(modules);
        assert!(!first.path.exists());
    }
}
