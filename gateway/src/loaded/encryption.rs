//! State encryption at rest (as daprd 1.18): `base64(nonce ‖ ciphertext ‖ tag)||<secret name>`, AES-GCM, the key
//! that wrote a value told by its name.

use aws_lc_rs::aead::{AES_128_GCM, AES_192_GCM, AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use components::{Error, Result};

const SEPARATOR: &[u8] = b"||";

/// The keys of one state store: the primary writes, both read.
pub struct Encryption {
    primary: Key,
    secondary: Option<Key>,
}

struct Key {
    name: String,
    key: LessSafeKey,
}

impl Encryption {
    /// Keys as (secret name, hex of 16, 24 or 32 bytes).
    pub fn new(primary: (&str, &str), secondary: Option<(&str, &str)>) -> Result<Self> {
        Ok(Self { primary: Key::new(primary)?, secondary: secondary.map(Key::new).transpose()? })
    }

    pub fn encrypt(&self, plain: &[u8]) -> Result<Bytes> {
        let mut nonce = [0u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| Error::other("no random bytes for a nonce"))?;
        let mut sealed = plain.to_vec();
        self.primary
            .key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed)
            .map_err(|_| Error::other("the value could not be encrypted"))?;
        let mut text = STANDARD.encode([nonce.as_slice(), &sealed].concat()).into_bytes();
        text.extend_from_slice(SEPARATOR);
        text.extend_from_slice(self.primary.name.as_bytes());
        Ok(text.into())
    }

    /// The plain bytes of a stored value. A value that none of the keys wrote is an error; the real daprd ends on it.
    pub fn decrypt(&self, store: &str, stored: &[u8]) -> Result<Bytes> {
        if stored.is_empty() {
            return Ok(Bytes::new());
        }
        let missing = || {
            Error::other(format!(
                "could not decrypt data for state store {store}: encryption key name not found on record"
            ))
        };
        let at = memchr::memmem::rfind(stored, SEPARATOR).ok_or_else(missing)?;
        let name = &stored[at + SEPARATOR.len()..];
        if name.is_empty() {
            return Err(missing());
        }
        let key = [Some(&self.primary), self.secondary.as_ref()]
            .into_iter()
            .flatten()
            .find(|key| key.name.as_bytes() == name)
            .ok_or_else(|| {
                Error::other(format!(
                    "could not decrypt data for state store {store}: the record names the key '{}', which is neither \
                     the primary nor the secondary encryption key of the component",
                    String::from_utf8_lossy(name)
                ))
            })?;
        let broken = || Error::other(format!("could not decrypt data for state store {store}: the record is damaged"));
        let mut sealed = STANDARD.decode(&stored[..at]).map_err(|_| broken())?;
        if sealed.len() < NONCE_LEN {
            return Err(broken());
        }
        let mut sealed_part = sealed.split_off(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(&sealed).map_err(|_| broken())?;
        let plain = key.key.open_in_place(nonce, Aad::empty(), &mut sealed_part).map_err(|_| broken())?;
        let length = plain.len();
        sealed_part.truncate(length);
        Ok(sealed_part.into())
    }
}

impl Key {
    fn new((name, hexadecimal): (&str, &str)) -> Result<Self> {
        let wrong = |what: &str| Error::config(format!("the encryption key in secret '{name}' {what}"));
        let bytes = hex::decode(hexadecimal.trim()).map_err(|_| wrong("is not hexadecimal text"))?;
        let algorithm = match bytes.len() {
            16 => &AES_128_GCM,
            24 => &AES_192_GCM,
            32 => &AES_256_GCM,
            _ => return Err(wrong("has neither 16, 24 nor 32 bytes")),
        };
        let key = UnboundKey::new(algorithm, &bytes).map_err(|_| wrong("was refused"))?;
        Ok(Self { name: name.to_owned(), key: LessSafeKey::new(key) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const K1: (&str, &str) = ("k1", "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff");
    const K2: (&str, &str) = ("k2", "ffeeddccbbaa99887766554433221100");

    #[test]
    fn rotation_reads_old_values_and_writes_new_ones() {
        let old = Encryption::new(K1, None).unwrap().encrypt(b"text").unwrap();
        let rotated = Encryption::new(K2, Some(K1)).unwrap();
        assert_eq!(rotated.decrypt("s", &old).unwrap(), "text");
        assert!(rotated.encrypt(b"x").unwrap().ends_with(b"||k2"));
    }

    #[test]
    fn plain_values_and_foreign_keys_are_errors() {
        let keys = Encryption::new(K1, None).unwrap();
        assert!(keys.decrypt("s", b"plain").is_err());
        assert!(keys.decrypt("s", b"AAAA||k1").is_err());
        assert!(keys.decrypt("s", b"AAAA||other").is_err());
        assert_eq!(keys.decrypt("s", b"").unwrap(), "");
    }
}
