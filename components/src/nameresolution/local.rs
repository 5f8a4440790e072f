//! The same-host registry: sidecars of one user find each other through files in a folder that only the user can use.
//!
//! One file a process, its name the app id, its content the address: a Unix socket beside the file where the sidecar
//! serves one, since that costs both sides less than TCP. Namespaces do not count, as with mDNS. The owner holds an exclusive lock on it: a killed process holds none, so nothing it leaves behind is ever believed. The folder is
//! `$XDG_RUNTIME_DIR/ottavo`, else `ottavo-<uid>` in `$TMPDIR` or the system's folder for temporary files; it must be
//! the user's own and closed to others.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use nix::fcntl::{Flock, FlockArg};

use super::{ResolveRequest, Resolver, host_port};
use crate::component::InitContext;
use crate::{Error, ErrorKind, Result};

/// Where registries of this user live.
pub fn runtime_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir()) {
        Some(runtime) => runtime.join("ottavo"),
        None => std::env::temp_dir().join(format!("ottavo-{}", nix::unistd::getuid())),
    }
}

/// In front of an address that is a socket's path.
const SOCKET: &str = "unix:";

/// The longest path that a Unix socket may have.
const MAX_SOCKET_PATH: usize = 107;

/// A path for a socket of this process in the registry's folder, which is made if it is missing.
///
/// # Errors
/// The folder cannot be used (see [`Registry::open`]), or its path is too long for a socket.
pub fn socket_path(folder: &Path) -> Result<PathBuf> {
    make_private(folder)?;
    let path = folder.join(format!(".{}-{}.sock", std::process::id(), uuid::Uuid::new_v4().simple()));
    if path.as_os_str().len() > MAX_SOCKET_PATH {
        return Err(Error::new(ErrorKind::Config, format!("{} is too long for a Unix socket", path.display())));
    }
    Ok(path)
}

/// Makes the folder; it must be this user's alone.
fn make_private(folder: &Path) -> Result<()> {
    let failed = |error: std::io::Error| unusable(folder, &error);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let facts = std::fs::symlink_metadata(folder).map_err(failed)?;
    let is_private = facts.is_dir() && facts.uid() == nix::unistd::getuid().as_raw() && facts.mode() & 0o077 == 0;
    if !is_private {
        let text = format!(
            "{} is not a folder of this user alone (mode 0700): other users could pretend to be applications; remove it, or set XDG_RUNTIME_DIR",
            folder.display()
        );
        return Err(Error::new(ErrorKind::Config, text));
    }
    Ok(())
}

fn unusable(folder: &Path, error: &std::io::Error) -> Error {
    let text = format!("cannot use {} for the registry of sidecars on this host: {error}", folder.display());
    Error::new(ErrorKind::Config, text)
}

/// The registry, and this process's own entry in it.
pub struct Registry {
    folder: PathBuf,
    own: Mutex<Option<Entry>>,
    listing: Mutex<Listing>,
    turn: AtomicUsize,
}

/// A file that this process keeps locked.
struct Entry {
    path: PathBuf,
    _lock: Flock<File>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How long the folder is believed not to have changed: asking for each call costs more than all else of a resolution.
/// A sidecar that has gone meanwhile is found out by its callers, who forget it.
const BELIEVED: Duration = Duration::from_millis(5);

/// The live entries as of the folder's last change.
#[derive(Default)]
struct Listing {
    looked: Option<Instant>,
    changed: Option<SystemTime>,
    /// By [`label`]: address and file.
    live: HashMap<String, Vec<(String, PathBuf)>>,
}

impl Registry {
    /// Opens (or makes) the registry in `folder` and registers the sidecar of `context`.
    ///
    /// # Errors
    /// A folder that is another user's or open to others, or that cannot be written.
    pub fn open(folder: &Path, context: &InitContext) -> Result<Self> {
        make_private(folder)?;
        let address = match &context.instance.internal_socket {
            Some(path) => format!("{SOCKET}{}", path.display()),
            None => host_port(&context.instance.address, context.instance.internal_port),
        };
        let own = register(folder, &label(&context.app_id), &address).map_err(|error| unusable(folder, &error))?;
        Ok(Self {
            folder: folder.to_owned(),
            own: Mutex::new(Some(own)),
            listing: Mutex::default(),
            turn: AtomicUsize::new(0),
        })
    }

    fn addresses(&self, label: &str) -> Vec<String> {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |listing: &Listing| -> Vec<String> {
            listing.live.get(label).into_iter().flatten().map(|(address, _)| address.clone()).collect()
        };
        let now = Instant::now();
        if listing.looked.is_some_and(|at| now - at < BELIEVED) {
            let known = known(&listing);
            // One that nobody knows may have come just now.
            if !known.is_empty() {
                return known;
            }
        }
        listing.looked = Some(now);
        let changed = std::fs::metadata(&self.folder).and_then(|facts| facts.modified()).ok();
        // Changes within the clock's grain of the last look could be missed.
        let is_settled = changed.is_some_and(|at| at.elapsed().is_ok_and(|age| age.as_millis() > 50));
        if changed.is_none() || listing.changed != changed || !is_settled {
            *listing = Listing { looked: Some(now), changed, live: read(&self.folder) };
        }
        known(&listing)
    }
}

/// A file name for an app; what could be a path is escaped.
fn label(app_id: &str) -> String {
    app_id
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02x}"),
        })
        .collect()
}

/// Writes and locks an entry before it gets its name: readers see it complete and alive, or not at all.
fn register(folder: &Path, label: &str, address: &str) -> std::io::Result<Entry> {
    let unique = format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
    let hidden = folder.join(format!(".{unique}"));
    let path = folder.join(format!("{label}@{unique}"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&hidden)?;
    file.write_all(address.as_bytes())?;
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| std::io::Error::from(error))?;
    std::fs::rename(&hidden, &path)?;
    Ok(Entry { path, _lock: lock })
}

/// All live entries; what a dead process left is removed.
fn read(folder: &Path) -> HashMap<String, Vec<(String, PathBuf)>> {
    let mut live: HashMap<String, Vec<(String, PathBuf)>> = HashMap::new();
    let Ok(files) = std::fs::read_dir(folder) else { return live };
    for file in files.flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some((label, _)) = name.rsplit_once('@').filter(|_| !name.starts_with('.')) else { continue };
        let path = file.path();
        if let Some(address) = read_live(&path) {
            live.entry(label.to_owned()).or_default().push((address, path));
        }
    }
    live
}

/// The address in an entry whose owner lives. Removes it when nobody holds it.
fn read_live(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut address = String::new();
    file.read_to_string(&mut address).ok()?;
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        // Its owner would hold it.
        Ok(_) => {
            let _ = std::fs::remove_file(path);
            // A socket that was killed with its process leaves its file, too.
            if let Some(socket) = address.strip_prefix(SOCKET).map(Path::new)
                && socket.parent() == path.parent()
            {
                let _ = std::fs::remove_file(socket);
            }
            None
        }
        Err(_) => Some(address),
    }
}

#[async_trait]
impl Resolver for Registry {
    async fn resolve(&self, request: &ResolveRequest) -> Result<Vec<String>> {
        let mut addresses = self.addresses(&label(&request.app_id));
        if addresses.is_empty() {
            return Err(Error::new(ErrorKind::NotFound, format!("couldn't find service: {}", request.app_id)));
        }
        addresses.sort_unstable();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % addresses.len();
        addresses.rotate_left(turn);
        Ok(addresses)
    }

    fn forget(&self, _app_id: &str, address: &str) {
        let mut listing = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        for entries in listing.live.values_mut() {
            entries.retain(|(known, path)| known != address || read_live(path).is_some());
        }
    }

    async fn unregister(&self) {
        let own = self.own.lock().unwrap_or_else(PoisonError::into_inner).take();
        if own.is_some() {
            drop(own);
            tokio::time::sleep(BELIEVED).await;
        }
    }

    async fn close(&self) {
        self.unregister().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component::Instance;

    fn context(app_id: &str, port: u16) -> InitContext {
        InitContext {
            app_id: app_id.into(),
            namespace: "default".into(),
            instance: Instance { address: "127.0.0.1".into(), internal_port: port, ..Instance::default() },
            init_timeout: std::time::Duration::from_secs(5),
        }
    }

    async fn resolve(registry: &Registry, app_id: &str) -> Result<Vec<String>> {
        let request = ResolveRequest { app_id: app_id.into(), namespace: "default".into(), port: 0 };
        registry.resolve(&request).await
    }

    #[tokio::test]
    async fn sidecars_find_each_other_until_they_unregister() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("registry");
        let one = Registry::open(&folder, &context("one", 1)).unwrap();
        let mut with_socket = context("../two", 2);
        with_socket.instance.internal_socket = Some("/socket".into());
        let two = Registry::open(&folder, &with_socket).unwrap();
        assert_eq!(resolve(&one, "../two").await.unwrap(), ["unix:/socket"]);
        assert_eq!(resolve(&two, "one").await.unwrap(), ["127.0.0.1:1"]);
        two.unregister().await;
        assert_eq!(*resolve(&one, "../two").await.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn entries_without_a_living_owner_are_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("registry");
        let one = Registry::open(&folder, &context("one", 1)).unwrap();
        let stale = folder.join(format!("{}@1-dead", label("gone")));
        let socket = socket_path(&folder).unwrap();
        std::fs::write(&socket, "").unwrap();
        std::fs::write(&stale, format!("unix:{}", socket.display())).unwrap();
        assert!(resolve(&one, "gone").await.is_err());
        assert!(!stale.exists() && !socket.exists());
    }

    #[tokio::test]
    async fn a_folder_that_others_can_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let Err(error) = Registry::open(folder.path(), &context("one", 1)) else { panic!("it was used") };
        assert!(error.message().contains("0700"), "{error}");
    }

    #[tokio::test]
    async fn several_addresses_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("registry");
        let one = Registry::open(&folder, &context("app", 1)).unwrap();
        let _two = Registry::open(&folder, &context("app", 2)).unwrap();
        let first = resolve(&one, "app").await.unwrap();
        let second = resolve(&one, "app").await.unwrap();
        assert_eq!(first.len(), 2);
        assert_ne!(first[0], second[0]);
    }
}
