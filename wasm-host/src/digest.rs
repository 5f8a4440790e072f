//! Digests of modules, and the pins that hold a configuration to one module.

use aws_lc_rs::digest::{SHA256, digest};
use md5::{Digest as _, Md5};

use crate::error::{Error, Result};

/// The SHA-256 digest of a module.
pub type Digest = [u8; 32];

/// SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> Digest {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// What a module must be: hexadecimal digests, in any case. A `sha256:` before the digest is allowed.
///
/// MD5 holds off accidents only; it is here because Layotto's configurations have it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    pub sha256: Option<String>,
    pub md5: Option<String>,
}

impl Pins {
    /// # Errors
    /// [`Error::Pin`] with both digests.
    pub fn check(&self, guest: &str, bytes: &[u8]) -> Result<()> {
        let check = |algorithm, expected: &Option<String>, found: &dyn Fn() -> String| {
            let Some(expected) = expected else { return Ok(()) };
            let expected = expected.trim();
            let found = found();
            if expected.strip_prefix("sha256:").unwrap_or(expected).eq_ignore_ascii_case(&found) {
                return Ok(());
            }
            Err(Error::Pin { guest: guest.to_owned(), algorithm, expected: expected.to_owned(), found })
        };
        check("sha256", &self.sha256, &|| hex::encode(sha256(bytes)))?;
        check("md5", &self.md5, &|| hex::encode(Md5::digest(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_takes_one_module_only() {
        let sha256 = "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855".to_owned();
        let pins = Pins { sha256: Some(sha256), md5: Some("d41d8cd98f00b204e9800998ecf8427e".to_owned()) };
        assert_eq!(pins.check("empty", b""), Ok(()));
        let error = pins.check("other", b"x").unwrap_err();
        assert!(matches!(&error, Error::Pin { algorithm: "sha256", .. }), "{error}");
        let only_md5 = Pins { sha256: None, ..pins };
        assert!(only_md5.check("other", b"x").unwrap_err().to_string().contains("9dd4e461268c8034f5c8564e155c67a6"));
    }
}
