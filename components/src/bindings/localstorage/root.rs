//! The folder that nothing leaves.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{Error, Result, go};

/// Folders that hold no files of users, as in daprd; the last two are the same on most systems.
const DISALLOWED: [&str; 5] = ["/proc", "/sys", "/boot", "/var/run/secrets", "/run/secrets"];

/// Symbolic links on the way to one file.
const MOST_LINKS: usize = 255;

/// The root folder as an absolute path without symbolic links; it need not exist yet.
pub(super) fn check(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        return Err(Error::config("property rootPath must not be empty"));
    }
    let path = std::path::absolute(text)
        .map_err(|error| Error::config(format!("failed to obtain current working directory: {error}")))?;
    let path = without_dots(&path);
    // What exists of it is resolved, the rest put behind it.
    let mut existing = path.as_path();
    loop {
        match std::fs::metadata(existing) {
            Ok(facts) if facts.is_dir() => break,
            Ok(_) => return Err(Error::config("property rootPath represents a file and not a directory")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match existing.parent() {
                Some(parent) => existing = parent,
                None => break,
            },
            Err(error) => {
                let error = go::path_error("stat", existing, &error);
                return Err(Error::config(format!("error getting stat for path {}: {error}", existing.display())));
            }
        }
    }
    let resolved = existing
        .canonicalize()
        .map_err(|error| Error::config(format!("failed to evaluate symlinks in rootPath: {error}")))?;
    let root = match path.strip_prefix(existing) {
        Ok(rest) if rest.as_os_str().is_empty() => resolved,
        Ok(rest) => resolved.join(rest),
        Err(_) => resolved,
    };
    if DISALLOWED.iter().any(|path| root.starts_with(path)) {
        return Err(Error::config("property rootPath points to a disallowed location"));
    }
    Ok(root)
}

/// `name` below `root`, with `..` and symbolic links ending at the root. The file need not exist.
pub(super) fn join(root: &Path, name: &str) -> io::Result<PathBuf> {
    let mut rest: VecDeque<OsString> = parts(Path::new(name));
    let mut below = PathBuf::new();
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            below.pop();
            continue;
        }
        let next = below.join(&part);
        match std::fs::read_link(root.join(&next)) {
            Ok(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::other("too many levels of symbolic links"));
                }
                if target.is_absolute() {
                    below = PathBuf::new();
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            // No link, or not there.
            Err(_) => below = next,
        }
    }
    Ok(if below.as_os_str().is_empty() { root.to_owned() } else { root.join(below) })
}

/// The names of a path, and its `..`.
fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(part) => Some(part.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect()
}

/// Resolves `..` by the letters of the path, as Go cleans it.
fn without_dots(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(clean.pop()),
            other => clean.push(other),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_may_not_exist_yet() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        let text = format!("{}/x/../new/folder", base.display());
        assert_eq!(check(&text).unwrap(), base.join("new/folder"));
        std::os::unix::fs::symlink(&base, base.join("link")).unwrap();
        assert_eq!(check(&format!("{}/link/new", base.display())).unwrap(), base.join("new"));
    }

    #[test]
    fn wrong_roots_are_refused_with_daprs_texts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let cases = [
            ("", "property rootPath must not be empty"),
            ("/proc/self", "property rootPath points to a disallowed location"),
            ("/var/run/secrets/x", "property rootPath points to a disallowed location"),
            (file.path().to_str().unwrap(), "property rootPath represents a file and not a directory"),
        ];
        for (text, expected) in cases {
            assert_eq!(check(text).unwrap_err().message(), expected, "{text}");
        }
    }

    #[test]
    fn links_that_go_round_in_circles_end() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("b", folder.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", folder.path().join("b")).unwrap();
        assert!(join(folder.path(), "a/x").is_err());
    }
}
