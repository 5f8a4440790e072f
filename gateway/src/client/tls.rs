//! TLS towards applications, endpoints and peers.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// What a client trusts and how it proves itself. Built on first use; cheap to clone.
#[derive(Clone)]
pub struct TlsConfig {
    inner: Arc<Inner>,
}

struct Inner {
    trust: Trust,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    built: OnceLock<Result<Arc<ClientConfig>, String>>,
}

/// Whom to believe.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Anybody: an application on this machine that brings a certificate of its own making.
    Anybody,
    /// The machine's certificate authorities.
    System,
    /// Exactly these.
    Roots(Arc<RootCertStore>),
}

/// A client certificate and its key.
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

/// A PEM text that cannot be used; says what is wrong with it, never what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("no certificate was found in the PEM text")]
    NoCertificate,
    #[error("no private key was found in the PEM text")]
    NoKey,
}

impl TlsConfig {
    pub fn new(trust: Trust) -> Self {
        Self { inner: Arc::new(Inner { trust, identity: None, alpn: Vec::new(), built: OnceLock::new() }) }
    }

    /// The same configuration, which shows a certificate when asked for one.
    pub fn with_identity(&self, certificate: &str, key: &str) -> Result<Self, PemError> {
        let identity = Identity {
            chain: certificates(certificate)?,
            key: PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| PemError::NoKey)?,
        };
        let Inner { trust, alpn, .. } = &*self.inner;
        let inner =
            Inner { trust: trust.clone(), identity: Some(identity), alpn: alpn.clone(), built: OnceLock::new() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The same configuration, which asks for HTTP/2.
    pub fn with_http2(&self) -> Self {
        let Inner { trust, identity, .. } = &*self.inner;
        let identity =
            identity.as_ref().map(|identity| Identity { chain: identity.chain.clone(), key: identity.key.clone_key() });
        let inner = Inner { trust: trust.clone(), identity, alpn: vec![b"h2".to_vec()], built: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    pub(super) fn client(&self) -> Result<Arc<ClientConfig>, String> {
        self.inner.built.get_or_init(|| self.inner.build()).clone()
    }
}

impl Inner {
    fn build(&self) -> Result<Arc<ClientConfig>, String> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| format!("tls: {error}"))?;
        let builder = match &self.trust {
            Trust::Anybody => builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnybody(provider))),
            Trust::System => builder.with_root_certificates(system_roots()),
            Trust::Roots(roots) => builder.with_root_certificates(roots.clone()),
        };
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => builder
                .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(|error| format!("tls: {error}"))?,
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("trust", &self.inner.trust)
            .field("identity", &self.inner.identity.is_some())
            .finish()
    }
}

/// The certificates of a PEM text as what to trust.
pub fn roots(pem: &str) -> Result<Trust, PemError> {
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates(pem)?);
    if added == 0 { Err(PemError::NoCertificate) } else { Ok(Trust::Roots(Arc::new(store))) }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect();
    if found.is_empty() { Err(PemError::NoCertificate) } else { Ok(found) }
}

fn system_roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    store
}

/// Accepts every certificate, but only from who has its key.
#[derive(Debug)]
struct TrustAnybody(Arc<CryptoProvider>);

impl ServerCertVerifier for TrustAnybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A failed handshake as Go words it.
pub(super) fn tls_text(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| (inner as &(dyn StdError + 'static)).downcast_ref::<rustls::Error>());
    match inner {
        None => super::error::io_text(error),
        Some(rustls::Error::InvalidCertificate(reason)) => {
            let reason = match reason {
                CertificateError::UnknownIssuer => "certificate signed by unknown authority".to_owned(),
                CertificateError::Expired | CertificateError::NotValidYet => {
                    "certificate has expired or is not yet valid".to_owned()
                }
                other => other.to_string(),
            };
            format!("tls: failed to verify certificate: x509: {reason}")
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            format!("remote error: tls: {}", spaced(&format!("{alert:?}")))
        }
        Some(other) => format!("tls: {other}"),
    }
}

/// `BadCertificate` as `bad certificate`.
fn spaced(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_texts_without_what_is_needed_are_refused() {
        assert_eq!(roots("no pem").unwrap_err(), PemError::NoCertificate);
        let plain = TlsConfig::new(Trust::System);
        assert_eq!(plain.with_identity("", "").unwrap_err(), PemError::NoCertificate);
    }

    #[test]
    fn alerts_read_as_in_go() {
        let error = io::Error::other(rustls::Error::AlertReceived(rustls::AlertDescription::BadCertificate));
        assert_eq!(tls_text(&error), "remote error: tls: bad certificate");
        let error = io::Error::other(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(
            tls_text(&error),
            "tls: failed to verify certificate: x509: certificate signed by unknown authority"
        );
    }
}
