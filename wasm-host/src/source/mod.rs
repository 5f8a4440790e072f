//! Where modules come from: `file://`, `http://`, `https://` (as daprd 1.18, wasm components), and `oci://`.

mod http;
mod oci;
mod tar;

use std::path::PathBuf;

use bytes::Bytes;
use components::go::path_error;
use reqwest::Url;

use crate::digest::Pins;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::module::Module;

pub use oci::Reference;

/// The largest module that is read, unpacked.
const LARGEST: u64 = 64 << 20;

/// A place of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    Http(Url),
    /// In a registry; daprd knows the scheme and refuses it.
    Oci(Reference),
}

impl Source {
    /// Reads a component's `url`.
    ///
    /// # Errors
    /// [`Error::Source`] with daprd's text.
    pub fn parse(url: &str) -> Result<Self> {
        let failed = |text: String| Error::Source(text);
        if url.is_empty() {
            return Err(failed("missing url".into()));
        }
        let Some((scheme, _)) = url.split_once(':') else { return Err(failed(format!("invalid URL: {url}"))) };
        match scheme {
            "file" => Ok(Self::File(url.get(7..).unwrap_or_default().into())),
            "http" | "https" => match Url::parse(url) {
                Ok(url) if url.has_host() => Ok(Self::Http(url)),
                Ok(_) => Err(failed(format!("parse {}: no host in request URL", components::go::quote(url)))),
                Err(error) => Err(failed(format!("parse {}: {error}", components::go::quote(url)))),
            },
            "oci" => {
                let reference = url.strip_prefix("oci://").and_then(Reference::parse);
                let wrong = || failed(format!("invalid URL: {url}: it is no oci://registry/name:tag"));
                reference.map(Self::Oci).ok_or_else(wrong)
            }
            _ => Err(failed(format!("unsupported URL scheme: {scheme}"))),
        }
    }

    /// The module's name: the last part of the path without `.wasm`.
    pub fn name(&self) -> String {
        let path = match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Http(url) => url.path().to_owned(),
            Self::Oci(reference) => reference.last().to_owned(),
        };
        let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
        match last.strip_suffix(".wasm") {
            Some(name) => name.to_owned(),
            None => last,
        }
    }

    /// Reads the module's bytes.
    ///
    /// # Errors
    /// [`Error::Source`] with daprd's text where it has one.
    pub async fn bytes(&self) -> Result<Bytes> {
        match self {
            Self::Http(url) => http::get(url).await,
            Self::Oci(reference) => reference.get(&http::client()?).await,
            Self::File(path) => {
                let failed = |operation, error: std::io::Error| Error::Source(path_error(operation, path, &error));
                let about = tokio::fs::metadata(path).await.map_err(|error| failed("open", error))?;
                if about.len() > LARGEST {
                    return Err(too_large(&path.display().to_string()));
                }
                Ok(tokio::fs::read(path).await.map_err(|error| failed("read", error))?.into())
            }
        }
    }

    /// Reads, checks and compiles the module.
    ///
    /// # Errors
    /// As [`Source::bytes`], [`Pins::check`] and [`Engine::module`].
    pub async fn load(&self, engine: &Engine, pins: &Pins) -> Result<Module> {
        let name = self.name();
        let bytes = self.bytes().await?;
        pins.check(&name, &bytes)?;
        engine.module(&name, bytes).await
    }
}

fn too_large(what: &str) -> Error {
    Error::Source(format!("{what} is larger than {} MiB, which no module may be", LARGEST >> 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_have_daprds_texts() {
        for (url, text) in [
            ("", "missing url"),
            ("main.wasm", "invalid URL: main.wasm"),
            ("ldap://foo/bar.wasm", "unsupported URL scheme: ldap"),
            ("http:// ", "parse \"http:// \""),
            ("oci://host.example/", "invalid URL: oci://host.example/"),
        ] {
            let error = Source::parse(url).unwrap_err().to_string();
            assert!(error.starts_with(text), "{url}: {error}");
        }
    }

    #[test]
    fn names_are_taken_from_paths() {
        let name = |url| Source::parse(url).unwrap().name();
        assert_eq!(name("file://guests/router.wasm"), "router");
        assert_eq!(name("file:///guests/router"), "router");
        assert_eq!(name("https://example.com/a/b.wasm?version=1"), "b");
        assert_eq!(name("oci://example.com/team/c:1"), "c");
    }

    #[tokio::test]
    async fn files_that_cannot_be_read_have_gos_texts() {
        let folder = tempfile::tempdir().unwrap();
        let text = async |path: &std::path::Path| {
            Source::parse(&format!("file://{}", path.display())).unwrap().bytes().await.unwrap_err().to_string()
        };
        let missing = folder.path().join("missing");
        assert_eq!(text(&missing).await, format!("open {}: no such file or directory", missing.display()));
        assert_eq!(text(folder.path()).await, format!("read {}: is a directory", folder.path().display()));
    }
}
