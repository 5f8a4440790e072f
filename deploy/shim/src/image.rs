//! Files of an image. Its author is not trusted: links lead nowhere but into the image, and what is read is a plain
//! file of a bounded length.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

/// Bytes of a module; the gateway takes no more.
const MODULE: u64 = 64 << 20;

/// Bytes of `function.yaml`.
const MANIFEST: u64 = 1 << 20;

/// The root of an image's files.
pub struct Image {
    path: PathBuf,
    root: File,
}

/// A module in an image.
pub struct Module {
    /// In the image, from its root.
    pub path: PathBuf,
    file: File,
}

impl Module {
    /// The module's bytes.
    ///
    /// # Errors
    /// It cannot be read, or is too long.
    pub fn read(&self) -> Result<Vec<u8>, String> {
        let failed = |error| format!("{} of the image: {error}", self.path.display());
        let mut file = self.file.try_clone().map_err(failed)?;
        file.rewind().map_err(failed)?;
        read(file, &self.path, MODULE)
    }
}

impl Image {
    /// # Errors
    /// There is no such folder.
    pub fn open(path: &Path) -> Result<Self, String> {
        let root = File::open(path).map_err(|error| format!("the image's files: {}: {error}", path.display()))?;
        Ok(Self { path: path.to_owned(), root })
    }

    /// The module that a container's command names, else the only one at the image's root.
    ///
    /// # Errors
    /// It is not there, or it is not clear which one is meant.
    pub fn module(&self, args: &[String], cwd: &str) -> Result<Module, String> {
        let asked = args.first().map(|word| Path::new("/").join(cwd).join(word));
        if let Some(path) = asked {
            match self.file(&path) {
                Ok(file) => return Ok(Module { path, file }),
                Err(error) if is_module(&path) => {
                    return Err(format!("the module {} of the image: {error}", path.display()));
                }
                Err(_) => {}
            }
        }
        let entries = std::fs::read_dir(&self.path).map_err(|error| format!("{}: {error}", self.path.display()))?;
        let mut found: Vec<PathBuf> = entries.flatten().map(|entry| Path::new("/").join(entry.file_name())).collect();
        found.retain(|path| is_module(path));
        match found.as_slice() {
            [path] => {
                let file = self.file(path).map_err(|error| format!("the module {}: {error}", path.display()))?;
                Ok(Module { path: path.clone(), file })
            }
            [] => {
                Err("the image has no module: neither the container's command nor a *.wasm at its root is one".into())
            }
            several => Err(format!(
                "the image has {} modules at its root: the container's command says which one is meant",
                several.len()
            )),
        }
    }

    /// `function.yaml` beside a module; `None`: there is none.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn manifest(&self, module: &Module) -> Result<Option<String>, String> {
        let path = module.path.with_file_name("function.yaml");
        let file = match self.file(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} of the image: {error}", path.display())),
        };
        let text = String::from_utf8(read(file, &path, MANIFEST)?);
        text.map(Some).map_err(|_| format!("{} of the image is no text", path.display()))
    }

    /// Opens a plain file; `path` begins at the image's root.
    fn file(&self, path: &Path) -> std::io::Result<File> {
        // A pipe or a device would make the shim wait: it is opened without waiting, and refused.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let how =
            OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let file = File::from(openat2(&self.root, path, how)?);
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "it is no plain file")),
        }
    }
}

fn is_module(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.as_bytes() == b"wasm")
}

fn read(file: File, path: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("{} of the image: {error}", path.display()))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{} of the image has more than {limit} bytes", path.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn found(image: &Image, args: &[&str], cwd: &str) -> Result<Vec<u8>, String> {
        image.module(&words(args), cwd).and_then(|module| module.read())
    }

    #[test]
    fn the_command_names_the_module_or_it_is_the_only_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("app")).unwrap();
        std::fs::write(root.join("main.wasm"), "main").unwrap();
        std::fs::write(root.join("app/other.wasm"), "other").unwrap();
        std::fs::write(root.join("app/function.yaml"), "config: x").unwrap();
        let image = Image::open(root).unwrap();
        assert_eq!(found(&image, &["main.wasm"], "/").unwrap(), b"main");
        assert_eq!(found(&image, &["other.wasm"], "/app").unwrap(), b"other");
        assert_eq!(found(&image, &["/app/other.wasm", "x"], "").unwrap(), b"other");
        assert_eq!(found(&image, &["/bin/sh"], "/").unwrap(), b"main");
        assert_eq!(found(&image, &[], "/").unwrap(), b"main");
        let other = image.module(&words(&["app/other.wasm"]), "/").unwrap();
        assert_eq!(image.manifest(&other).unwrap().as_deref(), Some("config: x"));
        let main = image.module(&[], "/").unwrap();
        assert_eq!(
            (main.read().unwrap(), main.read().unwrap()),
            (b"main".to_vec(), b"main".to_vec()),
            "again and again"
        );
        assert_eq!(image.manifest(&main).unwrap(), None);
        let missing = found(&image, &["missing.wasm"], "/").unwrap_err();
        assert_eq!(missing, "the module /missing.wasm of the image: No such file or directory (os error 2)");
        std::fs::write(root.join("second.wasm"), "2").unwrap();
        assert!(found(&image, &[], "/").unwrap_err().starts_with("the image has 2 modules at its root"));
    }

    #[test]
    fn nothing_outside_of_the_image_is_read_and_nothing_that_would_wait() {
        let folder = tempfile::tempdir().unwrap();
        let (outside, root) = (folder.path().join("outside.wasm"), folder.path().join("root"));
        std::fs::create_dir(&root).unwrap();
        std::fs::write(&outside, "secret").unwrap();
        symlink(&outside, root.join("link.wasm")).unwrap();
        symlink("../outside.wasm", root.join("up.wasm")).unwrap();
        symlink("/etc/passwd", root.join("function.yaml")).unwrap();
        nix::unistd::mkfifo(&root.join("pipe.wasm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::fs::write(root.join("good.wasm"), "good").unwrap();
        let image = Image::open(&root).unwrap();
        for name in ["link.wasm", "up.wasm", "../outside.wasm", "/proc/self/exe.wasm"] {
            assert!(found(&image, &[name], "/").is_err(), "{name}");
        }
        assert!(found(&image, &["pipe.wasm"], "/").unwrap_err().ends_with("it is no plain file"));
        let good = image.module(&words(&["good.wasm"]), "/").unwrap();
        // The link leads to the image's own /etc/passwd, which there is not.
        assert_eq!(image.manifest(&good).unwrap(), None);
    }
}
