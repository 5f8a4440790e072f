//! Compiled modules on disk, so that the next start does not compile them again.
//!
//! A file is machine code that runs in this process. It is only taken when a keyed digest shows that this user's
//! gateway wrote it for this engine; the key lies beside the files and is readable for its owner alone.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::hmac;

use crate::digest::Digest;
use crate::error::{Error, Result};

const MAGIC: &[u8; 8] = b"ottavo01";
const TAG: usize = 32;

/// A folder of compiled modules.
pub struct Cache {
    folder: PathBuf,
    key: hmac::Key,
    /// Of the compiler and its settings: their change makes all files stale.
    engine: u64,
}

impl Cache {
    /// Opens `folder`, which is made when it is not there, and closed to others when they could write into it.
    ///
    /// # Errors
    /// The folder cannot be used, belongs to another user, or others can read its key.
    pub fn open(folder: &Path, engine: &wasmtime::Engine) -> Result<Self> {
        let failed = |what: String| Error::Engine(format!("the cache {} cannot be used: {what}", folder.display()));
        fs::create_dir_all(folder).map_err(|error| failed(error.to_string()))?;
        let about = fs::metadata(folder).map_err(|error| failed(error.to_string()))?;
        if about.uid() != nix::unistd::geteuid().as_raw() {
            return Err(failed("it belongs to another user".into()));
        }
        if about.mode() & 0o022 != 0 {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
                .map_err(|error| failed(error.to_string()))?;
        }
        let key = key(&folder.join("key")).map_err(|error| failed(error.to_string()))?;
        let mut hasher = std::hash::DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key), engine: hasher.finish() })
    }

    /// The compiled form of the module with this digest, if it is here and untouched.
    pub fn load(&self, module: &Digest) -> Option<Vec<u8>> {
        let path = self.path(module);
        let mut content = fs::read(&path).ok()?;
        if !self.is_ours(module, &content) {
            tracing::warn!("{} is damaged or was changed: it is compiled again", path.display());
            let _ = fs::remove_file(&path);
            return None;
        }
        content.drain(..MAGIC.len() + TAG);
        Some(content)
    }

    /// Keeps a compiled module. A failure is logged: the cache is a help only.
    pub fn store(&self, module: &Digest, compiled: &[u8]) {
        if let Err(error) = self.write(module, compiled) {
            tracing::warn!("The compiled module is not kept in {}: {error}", self.folder.display());
        }
    }

    fn write(&self, module: &Digest, compiled: &[u8]) -> std::io::Result<()> {
        let path = self.path(module);
        // Written aside and renamed, so that no other process reads half of it.
        let aside = self.folder.join(format!("{}.{:016x}.part", std::process::id(), rand::random::<u64>()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        let written = file
            .write_all(MAGIC)
            .and_then(|()| file.write_all(self.tag(module, compiled).as_ref()))
            .and_then(|()| file.write_all(compiled))
            .and_then(|()| fs::rename(&aside, &path));
        if written.is_err() {
            let _ = fs::remove_file(&aside);
        }
        written
    }

    fn path(&self, module: &Digest) -> PathBuf {
        self.folder.join(format!("{}-{:016x}.bin", hex::encode(module), self.engine))
    }

    fn context(&self, module: &Digest) -> hmac::Context {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&self.engine.to_le_bytes());
        context.update(module);
        context
    }

    fn tag(&self, module: &Digest, compiled: &[u8]) -> hmac::Tag {
        let mut context = self.context(module);
        context.update(compiled);
        context.sign()
    }

    fn is_ours(&self, module: &Digest, content: &[u8]) -> bool {
        let Some(rest) = content.strip_prefix(MAGIC.as_slice()) else { return false };
        let Some((tag, compiled)) = rest.split_at_checked(TAG) else { return false };
        aws_lc_rs::constant_time::verify_slices_are_equal(self.tag(module, compiled).as_ref(), tag).is_ok()
    }
}

/// The key of a cache, made at its first use.
fn key(path: &Path) -> std::io::Result<[u8; 32]> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(mut file) => {
            let key: [u8; 32] = rand::random();
            file.write_all(&key)?;
            Ok(key)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let mut file = fs::File::open(path)?;
            if file.metadata()?.mode() & 0o077 != 0 {
                return Err(std::io::Error::other(format!("{} is readable for others", path.display())));
            }
            let mut key = [0; 32];
            file.read_exact(&mut key)?;
            Ok(key)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: Digest = [7; 32];

    fn cache(folder: &Path) -> Cache {
        Cache::open(folder, &wasmtime::Engine::default()).unwrap()
    }

    #[test]
    fn what_was_kept_comes_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        cache(folder.path()).store(&MODULE, b"code");
        assert_eq!(cache(folder.path()).load(&MODULE).unwrap(), b"code");
        assert_eq!(cache(folder.path()).load(&[8; 32]), None);
    }

    #[test]
    fn a_changed_file_is_refused_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        cache.store(&MODULE, b"code");
        let path = cache.path(&MODULE);
        let mut content = fs::read(&path).unwrap();
        *content.last_mut().unwrap() ^= 1;
        fs::write(&path, content).unwrap();
        assert_eq!(cache.load(&MODULE), None);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_of_another_key_or_another_module_is_refused() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (one, other) = (cache(one.path()), cache(other.path()));
        one.store(&MODULE, b"code");
        fs::copy(one.path(&MODULE), other.path(&MODULE)).unwrap();
        assert_eq!(other.load(&MODULE), None);
        fs::copy(one.path(&MODULE), one.path(&[8; 32])).unwrap();
        assert_eq!(one.load(&[8; 32]), None);
    }

    #[test]
    fn a_key_that_others_can_read_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        cache(folder.path());
        fs::set_permissions(folder.path().join("key"), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(Cache::open(folder.path(), &wasmtime::Engine::default()).is_err());
    }
}
